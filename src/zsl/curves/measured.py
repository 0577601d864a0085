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


def gradient_opposition_curve(run: str, paths: Sequence[Path]) -> pd.DataFrame:
    """Mean proxy D of every checkpoint in the gradient-opposition files ``paths``."""
    rows = []
    for path in paths:
        with reading(path) as file:
            for group in file.values():
                names = ("D_proxy", "D_proxy_with_embeddings")
                values = {name: float(group[name][()]) for name in names}
                rows.append({"run": run, "step": int(group.attrs["step"]), **values})
    return pd.DataFrame(rows).sort_values("step", ignore_index=True)


def gradient_histograms(run: str, paths: Sequence[Path]) -> pd.DataFrame:
    """Histogram of the proxy D over coordinates, one row per checkpoint and bin."""
    frames = []
    for path in paths:
        with reading(path) as file:
            for group in file.values():
                edges, counts = group["D_hist/edges"][:], group["D_hist/counts"][:]
                values = {"low": edges[:-1], "high": edges[1:], "count": counts}
                frames.append(pd.DataFrame({"run": run, "step": group.attrs["step"], **values}))
    return pd.concat(frames).sort_values(["step", "low"], ignore_index=True)


CURVES = {
    "eval_loss": eval_loss_curve,
    "delta_loss": delta_loss_curve,
    "gradient_opposition": gradient_opposition_curve,
    "gradient_histograms": gradient_histograms,
}
"""What makes each kind of curve from a run's measurement files."""
