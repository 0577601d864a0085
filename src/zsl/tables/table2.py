"""Table 2: how much lower the evaluation loss of the next larger model is, early and later."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd

from zsl.errors import ZslError
from zsl.study import RunInfo, Study
from zsl.tables.layout import Column, Table, fixed

MISSING = "without evaluation losses of both"


def rows(study: Study) -> pd.DataFrame:
    """L_small(t) − L_large(t) (nats) for neighbours in ``study.runs``, a column ``t_<t>`` per step.

    Pairs without any value are left out; NaN where one of both has no value at that step.
    """
    steps = study.options["table2_steps"]
    losses = _losses(study)
    table = pd.DataFrame(
        [
            {
                "run_small": small.id,
                "run_large": large.id,
                "label": _label(small, large),
                "imported": small.imported or large.imported,
                **{f"t_{t}": _difference(losses, small, large, t) for t in steps},
            }
            for small, large in pairwise(study.runs)
        ]
    )
    if not table.empty:
        table = table.dropna(subset=[f"t_{t}" for t in steps], how="all").reset_index(drop=True)
    if table.empty:
        raise ZslError(
            f"{study.experiment}: Table 2 needs two neighbouring runs with evaluation losses at "
            f"one of the steps {', '.join(map(str, steps))}; see tables.table2_steps"
        )
    return table


def _losses(study: Study) -> dict[tuple[str, int], float]:
    """Evaluation loss by run and step."""
    table = study.curve("eval_loss")
    return dict(zip(zip(table["run"], table["step"], strict=True), table["eval_loss"], strict=True))


def _difference(
    losses: dict[tuple[str, int], float], small: RunInfo, large: RunInfo, step: int
) -> float:
    nan = float("nan")
    return losses.get((small.id, step), nan) - losses.get((large.id, step), nan)


def _label(small: RunInfo, large: RunInfo) -> str:
    return f"{small.label} -> {large.label}"


def columns(study: Study) -> list[Column]:
    """A printed column for each step."""
    return [
        Column(f"t_{t}", f"$t = {t}$", f"t = {t}", fixed(2), f"t = {t}")
        for t in study.options["table2_steps"]
    ]


def expected(study: Study) -> list[str]:
    """Labels of a complete table."""
    return [_label(small, large) for small, large in pairwise(study.runs)]


def notes(study: Study, rows: pd.DataFrame) -> list[str]:
    """Which cells have no value."""
    empty = {
        t: rows.loc[rows[f"t_{t}"].isna(), "label"].tolist() for t in study.options["table2_steps"]
    }
    return [f"At t = {t}, {MISSING}: {', '.join(at)}." for t, at in empty.items() if at]


TABLE = Table(rows, columns, notes, expected, heading="Loss improvement", missing=MISSING)
