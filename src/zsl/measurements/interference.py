"""Destructive interference and what follows from it (Eqs. 3, 5, 6 and 15), in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interference:
    """How far the values of a set cancel in their sum."""

    D: float
    """1 - abs(sum) / sum of abs (Eq. 3); NaN when all values are zero."""
    M: float
    """Mean absolute value (Eq. 5), in the unit of the values."""
    mean: float
    """Mean, in the unit of the values."""


def interference(values: np.ndarray) -> Interference:
    """D, M and mean over all values of an array of any shape, accumulated in float64.

    abs(mean) = M (1 - D) holds (Eq. 6). Raises ValueError for an empty array or one that
    holds a value that is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0:
        raise ValueError("interference of no values is undefined")
    if not np.isfinite(values).all():
        bad = np.argwhere(~np.isfinite(values))[0].tolist()
        raise ValueError(f"the value at {bad} is not finite")
    total = float(values.sum())
    absolute = float(np.abs(values).sum())
    D = 1.0 - abs(total) / absolute if absolute > 0 else float("nan")
    return Interference(D=D, M=absolute / values.size, mean=total / values.size)
