"""How L_d, t_d and r_d move with choices: where the curve ends, the cut, and the smoothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zsl.curves.train_loss import train_loss_curve
from zsl.errors import FitError
from zsl.fits.common import refit

COLUMNS = ["run", "parameter", "value", "L_d", "t_d", "r_d", "RSLE", "break_inside"]
ENDS = 2 ** (-np.arange(13) / 4)
"""Ends of the curve over its length: quarter octaves down to an eighth."""
CUTS = 13
"""Cuts, evenly in log t, from the curve's first step to a quarter of t_d."""
SMOOTHINGS = (1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.6, 1.8, 2.0)
"""k of LSMA."""


def sensitivity(
    run: str,
    curve: pd.DataFrame,
    steps_files: Sequence[Path],
    *,
    cut: int,
    k: float,
    first: int,
) -> pd.DataFrame:
    """Refits of a run with one choice changed; columns as :mod:`zsl.study` describes them.

    ``curve`` is the smoothed train loss that tables use, with their ``cut`` and ``k``;
    ``steps_files`` are the run's step records, of which k needs the losses: none if imported. A
    choice that leaves too few points for a fit has no row. Raises FitError if the tables' has.
    """
    T = int(curve["step"].iloc[-1])
    t_d = refit(curve, T=T, cut=cut).t_d
    rows = [_row("T", end, curve, end, cut) for end in _ends(curve)]
    rows += [_row("cut", each, curve, T, each) for each in _cuts(curve, cut, t_d)]
    if steps_files:
        for each in sorted({*SMOOTHINGS, k}):
            smoothed = train_loss_curve(run, steps_files, each, first)
            rows.append(_row("k", each, smoothed, T, cut))
    found = [row for row in rows if row is not None]
    return pd.DataFrame(found).assign(run=run)[COLUMNS]


def _row(parameter: str, value: float, curve: pd.DataFrame, T: int, cut: int) -> dict | None:
    try:
        fit = refit(curve, T=T, cut=cut)
    except FitError:
        return None
    measures: dict[str, Any] = {name: getattr(fit, name) for name in COLUMNS[3:]}
    return {"parameter": parameter, "value": value, **measures}


def _ends(curve: pd.DataFrame) -> list[int]:
    """The last steps at or before each end, ascending."""
    steps = curve["step"].to_numpy()
    at = np.searchsorted(steps, steps[-1] * ENDS, side="right") - 1
    return [int(step) for step in np.unique(steps[at])]


def _cuts(curve: pd.DataFrame, cut: int, t_d: float) -> list[int]:
    """Whole steps, ascending, the tables' among them."""
    low = int(curve["step"].iloc[0])
    high = max(low + 1.0, t_d / 4)
    even = np.round(np.geomspace(low, high, CUTS)).astype(int)
    return sorted({*even.tolist(), cut})
