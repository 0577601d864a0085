"""Whether what the paper says of a figure holds in the runs at hand, computed.

A figure's module lists its claims. Each has a value per run, and holds when the value exceeds
a bound that is stated beside it. Where runs are repeated with other seeds, the verdict is on
the interval over the seeds; else on every run of the suite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from zsl.study import Study

LEVEL = 0.95
"""Confidence of the intervals over seeds, by Student's t."""


@dataclass(frozen=True)
class Claim:
    """One thing that the paper says of a figure."""

    statement: str
    """In the paper's sense, a clause without a full stop."""
    measure: str
    """What the value is, a noun phrase."""
    bound: float
    """The claim holds where the value is above this."""
    value: Callable[[Study, str, float], float]
    """The value of a run, from the study, the run's id, and its t_d; NaN if it has none."""


def verdicts(figure: str, claims: Sequence[Claim], study: Study) -> pd.DataFrame:
    """One row per claim and run: figure, statement, measure, bound, run, label, seeds, value,
    low, high, holds.

    A run whose fit is doubtful has no t_d to judge by, and no row. ``low`` and ``high`` are the
    interval over seeds of a repeated run, whose ``value`` is the mean over them; they are empty
    for a run without repetition. ``holds`` is judged on the interval where there is one.
    """
    t_d = {fit["run"]: float(fit["t_d"]) for fit in study.all_fits() if not fit["doubts"]}
    rows = []
    for claim in claims:
        for run in study.runs:
            ids = [id for id in (run.id, *study.seeds.get(run.id, ())) if id in t_d]
            if run.imported or not ids:
                continue
            values = np.array([claim.value(study, id, t_d[id]) for id in ids])
            low, high = interval(values)
            said = figure, claim.statement, claim.measure, claim.bound
            found = len(ids), values.mean(), low, high, _holds(values.mean(), low, claim.bound)
            rows.append((*said, run.id, run.label, *found))
    return pd.DataFrame(rows, columns=COLUMNS)


COLUMNS = [
    *("figure", "statement", "measure", "bound", "run", "label"),
    *("seeds", "value", "low", "high", "holds"),
]

Verdict = Literal["yes", "no", "unclear"]


def _holds(value: float, low: float, bound: float) -> Verdict:
    """On the interval where there is one: it must lie above the bound as a whole."""
    if np.isnan(value):
        return "unclear"
    if np.isnan(low):
        return "yes" if value > bound else "no"
    if low > bound:
        return "yes"
    return "unclear" if 2 * value - low > bound else "no"


def interval(values: np.ndarray) -> tuple[float, float]:
    """Confidence interval of the mean of ``values`` (seeds,); NaN for fewer than two."""
    if len(values) < 2:
        return float("nan"), float("nan")
    half = stdtrit(len(values) - 1, (1 + LEVEL) / 2) * values.std(ddof=1) / len(values) ** 0.5
    return float(values.mean() - half), float(values.mean() + half)


def sentences(table: pd.DataFrame, experiment: str) -> list[str]:
    """A sentence per claim of one figure, for its caption."""
    lines = []
    for statement, rows in table.groupby("statement", sort=False):
        repeated = rows[rows["seeds"] > 1]
        judged = repeated if len(repeated) else rows
        verdict = _together(list(judged["holds"]))
        measure, bound = rows["measure"].iloc[0], rows["bound"].iloc[0]
        with_interval = "; ".join(_printed(row) for row in judged.to_dict("records"))
        others = rows[rows["seeds"] == 1]
        line = (
            f"Claim: {statement}. In {experiment} it {WORDS[verdict]}: {measure} is {with_interval}"
        )
        if len(repeated) and len(others):
            line += ", and with one seed " + "; ".join(
                _printed(row) for row in others.to_dict("records")
            )
        lines.append(f"{line} (it holds above {bound:g}).")
    return lines


WORDS = {"yes": "holds", "no": "does not hold", "unclear": "is not decided"}


def _together(verdicts: list[str]) -> str:
    return verdicts[0] if len(set(verdicts)) == 1 else "unclear"


def _printed(row: Mapping[Any, Any]) -> str:
    value = f"{row['value']:.2g} for {row['label']}"
    if row["seeds"] == 1:
        return value
    span = f"{row['low']:.2g} to {row['high']:.2g}"
    return f"{value} ({100 * LEVEL:.0f} % interval over {row['seeds']} seeds: {span})"
