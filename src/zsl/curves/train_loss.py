"""Train-loss curves as tidy tables; columns as :mod:`zsl.study` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zsl.curves.smoothing import lsma, subsample
from zsl.errors import ZslError
from zsl.files import read_json
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


def published_curve(run: str, name: str, path: Path) -> pd.DataFrame:
    """The authors' smoothed train loss of model ``name``; there are no unsmoothed losses.

    Raises ZslError when the file does not hold that model in the published form, with finite
    losses at ascending steps.
    """
    models = published_models(path)
    if name not in models:
        known = ", ".join(str(key)[:40] for key in [*models][:20])
        raise ZslError(f"{path}: holds no model {name!r}; it has {known}")
    try:
        curve = models[name]["smoothed_loss"]
        steps = np.asarray(curve["x"], dtype=np.int64)
        losses = np.asarray(curve["y"], dtype=np.float64)
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise ZslError(f"{path}: {name}: no smoothed_loss with x and y: {error}") from None
    vectors = steps.ndim == 1 and steps.shape == losses.shape and len(steps) > 0
    if not vectors or steps[0] < 0 or (np.diff(steps) <= 0).any() or not np.isfinite(losses).all():
        raise ZslError(
            f"{path}: {name}: x and y of its smoothed_loss are no curve; expected as many finite "
            "losses as ascending steps: get the file again"
        )
    return pd.DataFrame(
        {"run": run, "step": steps, "train_loss": np.nan, "smoothed_train_loss": losses}
    )


def published_models(path: Path) -> dict[str, Any]:
    """The curves of the authors' file by the names of models. Raises ZslError where it is none."""
    models = read_json(path)
    if not isinstance(models, dict):
        raise ZslError(f"{path}: expected curves by the names of models; get the file again")
    return models
