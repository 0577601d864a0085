"""Interpolation of a smooth function at Chebyshev points, with an estimate of its error.

The points are those of the second kind, ends included; the formula is the barycentric one
(Berrut and Trefethen, 2004). It stands for a dense cross-section near 0 (Section 3.4), where
per-token losses are smooth; farther out they are not, and the estimate says so.
"""

from __future__ import annotations

import numpy as np


def chebyshev_points(n: int, span: float) -> np.ndarray:
    """``n`` points over [-span, span] in ascending order, (n,) float64; 0 is one if n is odd."""
    points = -np.cos(np.pi * np.arange(n) / (n - 1))
    points[np.abs(points) < 1e-15] = 0.0
    return span * points


def interpolation_matrix(points: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Matrix that takes values at Chebyshev ``points`` to values ``at`` others, (at, points)."""
    signs = np.where(np.arange(len(points)) % 2 == 0, 1.0, -1.0)
    signs[[0, -1]] /= 2
    distance = at[:, None] - points[None, :]
    exact = distance == 0
    terms = signs / np.where(exact, 1.0, distance)
    matrix = terms / terms.sum(axis=1, keepdims=True)
    hit = exact.any(axis=1)
    matrix[hit] = exact[hit]
    return matrix


LAST = 4
"""Chebyshev coefficients whose absolute values are added up as the error."""


def error_estimate(values: np.ndarray) -> np.ndarray:
    """Estimated error of the interpolant of ``values`` (points, ...) at Chebyshev points, (...).

    The sum of the absolute values of its last coefficients: for a function that is smooth enough
    to be interpolated these exceed all that is left out. Structure finer than the points may
    hide from them, so values at other places, where there are some, say more.
    """
    n = len(values) - 1
    weights = np.ones(n + 1)
    weights[[0, -1]] = 0.5
    angles = np.pi * np.arange(n + 1) / n
    rows = [np.cos(k * angles) * weights for k in range(n + 1 - LAST, n + 1)]
    last = np.stack(rows) * 2 / n
    last[-1] /= 2
    return np.abs(np.tensordot(last, values[::-1], axes=1)).sum(axis=0)
