"""Train-loss curves as tidy tables; columns as :mod:`zsl.study` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from zsl.curves.smoothing import lsma, subsample
from zsl.errors import ZslError
from zsl.files import read_json


def train_loss_curve(run: str, steps_files: Sequence[Path], k: float, first: int) -> pd.DataFrame:
    """The run's train loss, smoothed over all steps and then subsampled.

    ``steps_files`` are the ``steps.csv`` of the run's segments in order. Raises ZslError when
    a step is missing or repeated.
    """
    parts = [pd.read_csv(path, float_precision="round_trip") for path in steps_files]
    table = pd.concat(parts, ignore_index=True)
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


def published_curve(run: str, name: str, path: Path) -> pd.DataFrame:
    """The authors' smoothed train loss of model ``name``; there are no unsmoothed losses.

    Raises ZslError when the file does not hold that model in the published form.
    """
    models = read_json(path)
    if name not in models:
        raise ZslError(f"{path}: holds no model {name!r}; it has {', '.join(models)}")
    try:
        curve = models[name]["smoothed_loss"]
        steps = np.asarray(curve["x"], dtype=np.int64)
        losses = np.asarray(curve["y"], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise ZslError(f"{path}: {name}: no smoothed_loss with x and y: {error}") from None
    return pd.DataFrame(
        {"run": run, "step": steps, "train_loss": np.nan, "smoothed_train_loss": losses}
    )
