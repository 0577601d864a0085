"""Arms of an experiment held against its baseline: the runs of a suite, each with several seeds.

The first run of a suite is the baseline. Seeds are blocks: the n-th seed of every arm has the same
initial weights and reads the same text, so that what a seed does to all arms alike is no noise.
With y = arm + seed + noise, the noise of one variance s^2 in all arms, a difference of two arms is
that of their means over S seeds, with standard error s sqrt(2 / S) and (A - 1)(S - 1) degrees of
freedom. Each family of comparisons (all arms with the baseline; those that have a placebo, with it)
is corrected by Holm (1979): the chance that any of its ``p_holm`` falls below .05 where nothing
differs is at most .05. Intervals are of each difference by itself, 95 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from zsl.claims import LEVEL
from zsl.study import RunInfo, Study

LATE = 4
"""Gradients of late training: means over checkpoints from the last step over this on."""
COMPARED = ["arm", "reference", "difference", "low", "high", "p", "p_holm"]


def arms(study: Study, suite: str) -> list[RunInfo]:
    """The runs of a suite that are made here, the baseline first."""
    return [run for run in study.runs if run.suite == suite and not run.imported]


def seeds(study: Study, run: RunInfo) -> list[str]:
    """Ids of a run and of its repetitions with other seeds."""
    return [run.id, *study.seeds.get(run.id, ())]


def per_seed(study: Study, suite: str, value: Mapping[str, float]) -> pd.DataFrame:
    """Columns arm, run, seed (its position) and value, of ``value`` by run id; NaN: missing."""
    rows = [
        {"arm": run.label, "run": id, "seed": seed, "value": value.get(id, np.nan)}
        for run in arms(study, suite)
        for seed, id in enumerate(seeds(study, run))
    ]
    return pd.DataFrame(rows, columns=["arm", "run", "seed", "value"])


def compare(values: pd.DataFrame, references: Mapping[str, str]) -> pd.DataFrame:
    """Columns ``COMPARED``: each arm of ``references`` against the arm that it names, one family.

    ``values`` are those of :func:`per_seed`. Arms without a value for every seed take no part;
    without two seeds or a spread there are differences, but no intervals.
    """
    table = values.pivot(index="arm", columns="seed", values="value").dropna()
    y = table.to_numpy(float)
    if not y.size:
        return pd.DataFrame(columns=COMPARED)
    n_arms, n_seeds = y.shape
    freedom = (n_arms - 1) * (n_seeds - 1)
    error, t = np.nan, np.nan
    if freedom > 0:
        noise = y - y.mean(1, keepdims=True) - y.mean(0, keepdims=True) + y.mean()
        error = np.sqrt((noise**2).sum() / freedom * 2 / n_seeds)
        t = stdtrit(freedom, (1 + LEVEL) / 2)
    mean = dict(zip(table.index, y.mean(1), strict=True))
    rows = []
    for arm, reference in references.items():
        if arm not in mean or reference not in mean:
            continue
        difference = mean[arm] - mean[reference]
        p = 2 * stdtr(freedom, -abs(difference) / error) if error > 0 else np.nan
        ends = difference - t * error, difference + t * error
        rows.append((arm, reference, difference, *ends, p))
    found = pd.DataFrame(rows, columns=COMPARED[:-1])
    return found.assign(p_holm=holm(found["p"].to_numpy(float)))


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's corrected values of ``p`` (comparisons,); NaN stays and does not count."""
    corrected = np.full(len(p), np.nan)
    order = [i for i in np.argsort(p) if not np.isnan(p[i])]
    largest = 0.0
    for position, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - position) * p[i]))
        corrected[i] = largest
    return corrected


def against_baseline(runs: Sequence[RunInfo]) -> dict[str, str]:
    """Each arm with the baseline."""
    return {run.label: runs[0].label for run in runs[1:]}


def against_placebo(runs: Sequence[RunInfo]) -> dict[str, str]:
    """Each arm with agreement, with the placebo of the same settings, if there is one."""
    placebos = {_dose(run, "placebo"): run.label for run in runs if _dose(run, "placebo")}
    doses = {run.label: _dose(run, "agreement") for run in runs}
    return {arm: placebos[dose] for arm, dose in doses.items() if dose in placebos}


def _dose(run: RunInfo, name: str) -> tuple[Any, ...] | None:
    """gamma and steps between measurements of C, where the intervention has that name."""
    made = run.settings.get("intervention") or {}
    return (made["gamma"], made["every"]) if made.get("name") == name else None


def last(table: pd.DataFrame, column: str) -> dict[str, float]:
    """The value of a column in each run's last row, by step."""
    rows = table.sort_values("step", kind="stable").groupby("run").tail(1)
    return dict(zip(rows["run"], rows[column].astype(float), strict=True))


def late(table: pd.DataFrame, column: str) -> dict[str, float]:
    """The mean of a column over each run's checkpoints from its last step over ``LATE`` on."""
    ends = table.groupby("run")["step"].transform("max")
    rows = table[table["step"] * LATE >= ends]
    return {str(run): float(found) for run, found in rows.groupby("run")[column].mean().items()}


def fitted(study: Study, name: str) -> dict[str, float]:
    """L_d (nats), t_d (steps) or r_d by run; of fits without doubts."""
    return {fit["run"]: float(fit[name]) for fit in study.all_fits() if not fit["doubts"]}
