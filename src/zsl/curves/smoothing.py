"""Smoothing and subsampling of loss curves (Section A.2)."""

from __future__ import annotations

import numpy as np


def lsma(steps: np.ndarray, losses: np.ndarray, k: float) -> np.ndarray:
    """LSMA_k: at each step t the mean of the losses of steps floor(t/k) to t, both included.

    ``steps`` (n,) ascending, from 1, may have gaps and repeats: windows go by step, not by
    index. ``losses`` (n,). Returns (n,) float64, NaN where a window holds a loss that is not
    finite. The paper's formula divides by the window's length without the + 1 that its inclusive
    sum has; this divides by the number of terms.
    """
    steps = np.asarray(steps, dtype=np.int64)
    losses = np.asarray(losses, dtype=np.float64)
    if steps.shape != losses.shape or steps.ndim != 1 or steps.size == 0:
        raise ValueError(f"steps {steps.shape} and losses {losses.shape} must be equal vectors")
    if steps[0] < 1 or (np.diff(steps) < 0).any():
        raise ValueError("steps must ascend from 1 or later")
    before_window = np.maximum(1, (steps / k).astype(np.int64)) - 1
    if steps[-1] < 64 * len(steps):
        # How many of the steps are at most 0, 1, 2... Faster than a search, if not too many.
        up_to = np.bincount(steps).cumsum()
        first, after = up_to[before_window], up_to[steps]
    else:
        first, after = (np.searchsorted(steps, at, side="right") for at in (before_window, steps))
    finite = np.isfinite(losses)
    if not finite.any():
        return np.full(losses.shape, np.nan)
    # Subtracting the mean keeps the cumulative sum small, and so its rounding.
    mean = losses[finite].mean()
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, losses - mean, 0.0))])
    smoothed = mean + (sums[after] - sums[first]) / (after - first)
    if not finite.all():
        broken = np.concatenate([[0], np.cumsum(~finite)])
        smoothed[broken[after] > broken[first]] = np.nan
    return smoothed


def subsample(steps: np.ndarray, first: int) -> np.ndarray:
    """Indices of the steps that are kept for fits and figures, ascending.

    Every step from ``first``, every 10th from 10 ``first``, every 100th from 100 ``first``,
    every 1,000th from 1,000 ``first``, plus the last one: the authors' grid for ``first`` 10.
    """
    steps = np.asarray(steps, dtype=np.int64)
    stride = 10 ** np.searchsorted(first * 10 ** np.arange(1, 4), steps, side="right")
    kept = (steps >= first) & (steps % stride == 0)
    kept[-1] = True
    return np.flatnonzero(kept)


def thin(steps: np.ndarray, first: int) -> np.ndarray:
    """Indices of the steps that are kept of a curve logged at any steps, ascending.

    The first in each cell between two neighbours of :func:`subsample`'s grid, so that neighbours
    are as far apart on a logarithmic axis as there, whatever the interval of the log; plus the
    last one. The same as :func:`subsample` where every step of the grid was logged.
    """
    steps = np.asarray(steps, dtype=np.int64)
    stride = 10 ** np.searchsorted(first * 10 ** np.arange(1, 4), steps, side="right")
    cell = steps // stride * stride
    kept = (steps >= first) & (np.diff(cell, prepend=-1) != 0)
    kept[-1] = True
    return np.flatnonzero(kept)
