"""Train-loss curves as tidy tables; columns as :mod:`zsl.study` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from zsl.curves.smoothing import lsma, subsample
from zsl.errors import ZslError
from zsl.study import read_csv


def train_loss_curve(run: str, steps_files: Sequence[Path], k: float, first: int) -> pd.DataFrame:
    """The run's train loss, smoothed over all steps and then subsampled.

    ``steps_files`` are the ``steps.csv`` of the run's segments in order. Raises ZslError when
    a step is missing or repeated.
    """
    parts = [read_csv(path, ("step", "train_loss")) for path in steps_files]
    table = pd.concat(parts, ignore_index=True)
    if table[["step", "train_loss"]].dtypes.map(lambda kind: kind.kind not in "if").any():
        raise ZslError(f"{run}: its step records hold what is no number; train it again")
    steps = table["step"].to_numpy()
    if not np.array_equal(steps, np.arange(1, len(steps) + 1)):
        wrong = int(np.flatnonzero(steps != np.arange(1, len(steps) + 1))[0]) + 1
        raise ZslError(f"{run}: step {wrong} is missing or repeated in its step records")
    smoothed = lsma(steps, table["train_loss"].to_numpy(), k)
    kept = subsample(steps, first)
    return pd.DataFrame(
        {
            "run": run,
            "step": steps[kept],
            "train_loss": table["train_loss"].to_numpy()[kept],
            "smoothed_train_loss": smoothed[kept],
        }
    )


def evaluated_curve(eval_loss: str | Path) -> tuple[pd.DataFrame, str]:
    """The evaluation loss of checkpoints in the columns of a train loss, and a note that says so.

    ``eval_loss`` is the curve's file. Step 0 has no logarithm and is left out.
    """
    table = read_csv(eval_loss, ("run", "step", "eval_loss"))
    after = table[table["step"] > 0]
    curve = after[["run", "step"]].assign(
        train_loss=np.nan, smoothed_train_loss=after["eval_loss"].to_numpy()
    )
    note = f"evaluation loss of {len(curve)} checkpoints, since no train loss of the run is known"
    return curve, note
