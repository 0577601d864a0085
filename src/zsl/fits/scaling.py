"""A scaling law grounded in loss deceleration (Eq. 31; B.6).

L(N, T) = L_d(N) (t_d(N) / T)^r_d(N), with log L_d and log r_d linear in log N and t_d linear in
N, all by least squares. N counts all parameters, embeddings included. The forms are a reading of
Fig. 22; the paper prints no values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import linregress

SIZES = 3
"""A line through fewer different sizes leaves nothing to judge it by."""


@dataclass(frozen=True)
class Line:
    """A least-squares line with its standard errors."""

    intercept: float
    slope: float
    intercept_error: float
    slope_error: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The line at ``x``, of the same shape."""
        return self.intercept + self.slope * np.asarray(x)


@dataclass(frozen=True)
class Law:
    """The three lines of Eq. 31."""

    L_d: Line
    """log L_d (nats) by log N."""
    t_d: Line
    """t_d (steps) by N."""
    r_d: Line
    """log r_d by log N."""

    def measures(self, N: np.ndarray) -> dict[str, np.ndarray]:
        """L_d (nats), t_d (steps) and r_d of models with ``N`` parameters, of the same shape."""
        log_N = np.log(N)
        return {
            "L_d": np.exp(self.L_d(log_N)),
            "t_d": self.t_d(N),
            "r_d": np.exp(self.r_d(log_N)),
        }

    def loss(self, N: np.ndarray, T: np.ndarray) -> np.ndarray:
        """Loss at step T (Eq. 31), nats; NaN where the line of t_d is not above zero."""
        at = self.measures(N)
        t_d = np.where(at["t_d"] > 0, at["t_d"], np.nan)
        return at["L_d"] * (t_d / T) ** at["r_d"]


def fit_law(N: np.ndarray, L_d: np.ndarray, t_d: np.ndarray, r_d: np.ndarray) -> Law | None:
    """The law of sizes ``N`` (n,) with measures (n,); None for fewer than ``SIZES`` sizes.

    Sizes whose r_d is not above zero, which has no logarithm, do not count.
    """
    N, L_d, t_d, r_d = (np.asarray(each, dtype=float) for each in (N, L_d, t_d, r_d))
    usable = r_d > 0
    if len(np.unique(N[usable])) < SIZES:
        return None
    N, log_N = N[usable], np.log(N[usable])
    return Law(
        L_d=_line(log_N, np.log(L_d[usable])),
        t_d=_line(N, t_d[usable]),
        r_d=_line(log_N, np.log(r_d[usable])),
    )


def left_out(
    N: np.ndarray, L_d: np.ndarray, t_d: np.ndarray, r_d: np.ndarray, T: np.ndarray
) -> np.ndarray:
    """Loss at T (n,) of each size by the law of the other sizes (n,), nats; NaN without one."""
    N, L_d, t_d, r_d, T = (np.asarray(each, dtype=float) for each in (N, L_d, t_d, r_d, T))
    predicted = np.full(len(N), np.nan)
    for i in range(len(N)):
        others = N[i] != N
        law = fit_law(N[others], L_d[others], t_d[others], r_d[others])
        if law is not None:
            predicted[i] = law.loss(N[i], T[i])
    return predicted


def _line(x: np.ndarray, y: np.ndarray) -> Line:
    found = linregress(x, y)
    return Line(found.intercept, found.slope, found.intercept_stderr, found.stderr)
