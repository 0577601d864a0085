"""Accuracy on the downstream tasks by checkpoint; columns as :mod:`zsl.study` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from zsl.measurements.hdf5 import reading


def downstream_curve(run: str, paths: Sequence[Path]) -> pd.DataFrame:
    """Accuracy of every checkpoint on every task in the downstream files ``paths``.

    ``cut`` counts the items of which the model's context held only the end.
    """
    rows = []
    for path in paths:
        with reading(path) as file:
            for group in file.values():
                for task, measured in group.items():
                    rows.append(
                        {
                            "run": run,
                            "step": int(group.attrs["step"]),
                            "task": task,
                            "accuracy": float(measured["accuracy"][()]),
                            "se": float(measured["accuracy_se"][()]),
                            "chance": float(measured["chance"][()]),
                            "items": len(measured["label"]),
                            "cut": int(measured["cut"][:].sum()),
                        }
                    )
    return pd.DataFrame(rows).sort_values(["step", "task"], ignore_index=True)
