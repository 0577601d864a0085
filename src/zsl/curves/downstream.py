"""Accuracy on the downstream tasks by checkpoint; columns as :mod:`zsl.study` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from zsl.measurements.hdf5 import array, checkpoints, reading, scalar, step_of, tasks


def downstream_curve(run: str, paths: Sequence[Path]) -> pd.DataFrame:
    """Accuracy of every checkpoint on every task in the downstream files ``paths``.

    ``cut`` counts the items of which the model's context held only the end.
    """
    rows = []
    for path in paths:
        with reading(path) as file:
            for group in checkpoints(file):
                for task, measured in tasks(group):
                    rows.append(
                        {
                            "run": run,
                            "step": step_of(group),
                            "task": task,
                            "accuracy": scalar(measured, "accuracy"),
                            "se": scalar(measured, "accuracy_se"),
                            "chance": scalar(measured, "chance"),
                            "items": len(array(measured, "label", 1)),
                            "cut": int(array(measured, "cut", 1).sum()),
                        }
                    )
    return pd.DataFrame(rows).sort_values(["step", "task"], ignore_index=True)
