"""Curves of means over the evaluation tokens; columns as :mod:`zsl.study` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from zsl.measurements.hdf5 import reading


def eval_loss_curve(run: str, paths: Sequence[Path]) -> pd.DataFrame:
    """Mean evaluation loss of every checkpoint in the token-loss files ``paths``."""
    rows = []
    for path in paths:
        with reading(path) as file:
            for group in file.values():
                losses = group["token_losses"][:]
                step = int(group.attrs["step"])
                rows.append((run, step, float(losses.mean(dtype=np.float64))))
    return pd.DataFrame(sorted(rows), columns=["run", "step", "eval_loss"])


def delta_loss_curve(run: str, paths: Sequence[Path]) -> pd.DataFrame:
    """D, M and mean of the loss changes over every interval in the delta-loss files ``paths``."""
    rows = []
    for path in paths:
        with reading(path) as file:
            for group in file.values():
                steps = {name: int(group.attrs[name]) for name in ("step", "step_next")}
                values = {name: float(group[name][()]) for name in ("D", "M", "mean")}
                rows.append({"run": run, **steps, **values, "abs_dL": abs(values["mean"])})
    return pd.DataFrame(rows).sort_values("step", ignore_index=True)
