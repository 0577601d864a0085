"""One-break broken neural scaling laws fitted to loss curves (Eqs. 1 and 2; A.2).

With a = 0 and x = log t, Eq. 1 is log L = log b - c_0 x - c_1 f_1 log(1 + exp(z)) with
z = (x - log d_1) / f_1. Given (log d_1, f_1) it is linear in (log b, c_0, c_1), so only those
two are searched (variable projection), and the start comes from a grid instead of a guess.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import minimum_filter
from scipy.special import expit

from zsl.errors import FitError

NAMES = ("b", "c_0", "c_1", "log_d_1", "f_1")
"""Parameters in the order of the covariance."""

F_RANGE = (0.005, 5.0)
"""f_1 is searched here, and log d_1 between the first and the last point: outside, the two
segments cannot be told apart and the parameters run away."""

GRID_F = np.exp(np.linspace(np.log(0.03), np.log(1.5), 8))
GRID_D = 24
GRID_POINTS = 48
"""At most as many means of neighbouring points are enough to find starts."""
STARTS = 3
OFFSET = 1e-8
"""A search ends when the part of the residuals that (log d_1, f_1) could still take away is
smaller than them by this factor: the parameters are then within about OFFSET sqrt(n) of their
standard errors from the minimum."""
UPPER = np.triu(np.ones((6, 6)))


@dataclass(frozen=True)
class Bnsl:
    """A fitted one-break BNSL."""

    b: float
    """Scale of the first segment: its loss at step 1, nats."""
    c_0: float
    """Log-log slope of the first segment, negated."""
    c_1: float
    """Change of the slope at the break."""
    log_d_1: float
    """Log of the step of the break."""
    f_1: float
    """Smoothness of the break, in log steps."""
    covariance: np.ndarray
    """(5, 5) in the order of ``NAMES``, as ``scipy.optimize.curve_fit`` scales it."""
    RSLE: float
    """Root mean squared error of log L over the fitted points."""
    n_points: int
    """Number of fitted points."""
    break_inside: bool
    """Whether the break lies within the fitted steps with a smoothness in ``F_RANGE``. If not,
    the curve shows no deceleration that these parameters could describe."""

    @property
    def parameters(self) -> np.ndarray:
        """(5,) in the order of ``NAMES``."""
        return np.array([self.b, self.c_0, self.c_1, self.log_d_1, self.f_1])

    @property
    def errors(self) -> np.ndarray:
        """(5,) standard errors as in Table 4: they take residuals for independent, which
        neighbours on a smoothed curve are not, and so are far too small."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def t_d(self) -> float:
        """Step of deceleration."""
        return float(np.exp(self.log_d_1))

    @property
    def L_d(self) -> float:
        """Loss of deceleration, where the two segments meet: b d_1^-c_0, nats."""
        return float(np.exp(np.log(self.b) - self.c_0 * self.log_d_1))

    @property
    def r_d(self) -> float:
        """Log-log rate of improvement after deceleration: c_0 + c_1."""
        return self.c_0 + self.c_1

    def L_hat(self, T: float) -> float:
        """Loss at step T from the second segment alone (Eq. 2): L_d (t_d / T)^r_d, nats."""
        return float(self.L_d * (self.t_d / T) ** self.r_d)

    def log_loss(self, steps: np.ndarray) -> np.ndarray:
        """log L at ``steps``, of the same shape."""
        one, x, broken, _, _ = _design(np.log(steps), self.log_d_1, self.f_1)
        return np.log(self.b) * one + self.c_0 * x + self.c_1 * broken

    def tangents(self, steps: np.ndarray) -> np.ndarray:
        """Derivatives of log L by (log b, c_0, c_1, log d_1, log f_1), (n, 5)."""
        design = np.array(_design(np.log(steps), self.log_d_1, self.f_1)).T
        return design * [1, 1, 1, self.c_1, self.c_1]


@dataclass(frozen=True)
class _Point:
    """The best curve of one (log d_1, f_1).

    ``r`` (6, 6) is the triangular factor of a QR of the design's five columns and log L. An
    orthogonal rotation keeps lengths, so it stands for all points: its first three rows solve
    for the linear parameters, the others are what these leave of the derivatives and of log L.
    """

    log_d: float
    f: float
    r: np.ndarray

    @property
    def linear(self) -> np.ndarray:
        """(log b, c_0, c_1)."""
        return np.linalg.solve(self.r[:3, :3], self.r[:3, 5])

    @property
    def error(self) -> float:
        """Sum of squared residuals."""
        return float(self.r[3:, 5] @ self.r[3:, 5])

    @property
    def slopes(self) -> np.ndarray:
        """Derivatives by (log d_1, log f_1) less what the linear parameters can follow, (2, 2).

        Kaufman's approximation: that of the curve at fixed linear parameters.
        """
        c_1 = self.r[2, 5] / self.r[2, 2]
        return c_1 * self.r[3:5, 3:5]

    @property
    def residual(self) -> np.ndarray:
        """The part of the residuals along ``slopes``, (2,)."""
        return self.r[3:5, 5]


def fit_bnsl(
    steps: np.ndarray,
    losses: np.ndarray,
    start: tuple[float, float] | None = None,
    offset: float = OFFSET,
) -> Bnsl:
    """Fit Eq. 1 with a = 0 to losses (n,) in nats at ``steps`` (n,), least squares in log L.

    ``start`` is a (log d_1, f_1) to search from, such as that of a similar curve; None: a grid
    says where. ``offset`` is how exact the minimum is, as described at ``OFFSET``. Raises
    FitError when there are too few points or a value is not positive and finite.
    """
    steps = np.asarray(steps, dtype=np.float64)
    losses = np.asarray(losses, dtype=np.float64)
    _check(steps, losses)
    x, y = np.log(steps), np.log(losses)
    starts = _starts(x, y) if start is None else [start]
    best = min((_descend(x, y, *at, offset) for at in starts), key=lambda at: at.error)
    log_b, c_0, c_1 = best.linear.tolist()
    return Bnsl(
        b=float(np.exp(log_b)),
        c_0=c_0,
        c_1=c_1,
        log_d_1=best.log_d,
        f_1=best.f,
        covariance=_covariance(best, len(x)),
        RSLE=float(np.sqrt(best.error / len(x))),
        n_points=len(x),
        break_inside=_inside(x, best.log_d, best.f),
    )


def _check(steps: np.ndarray, losses: np.ndarray) -> None:
    distinct = len(np.unique(steps))
    if distinct <= len(NAMES):
        raise FitError(
            f"{distinct} points cannot be fitted with {len(NAMES)} parameters; lower the cut "
            "(fits.cut) or train longer"
        )
    for name, values in (("step", steps), ("loss", losses)):
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            raise FitError(f"{name} {values[bad][0]} at point {bad.argmax()} has no logarithm")


def _softplus(z: np.ndarray) -> np.ndarray:
    """log(1 + exp(z)) without overflow."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def _design(x: np.ndarray, log_d: float, f: float) -> list[np.ndarray]:
    """What multiplies log b, c_0 and c_1, and the derivatives of the third of them by log d_1
    and by log f_1, (n,) each."""
    z = (x - log_d) / f
    softplus, sigmoid = _softplus(z), expit(z)
    return [np.ones_like(x), -x, -f * softplus, sigmoid, f * (z * sigmoid - softplus)]


def _starts(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    """The best few local minima of the error over a grid of (log d_1, f_1)."""
    size = math.ceil(len(x) / GRID_POINTS)
    groups = len(x) // size
    x, y = (values[: groups * size].reshape(groups, size).mean(1) for values in (x, y))
    grid_d = np.linspace(x[0], x[-1], GRID_D + 2)[1:-1]
    error = _grid_errors(x, y, grid_d)
    minima = np.argwhere(error == minimum_filter(error, size=3, mode="nearest"))
    best = sorted(minima.tolist(), key=lambda at: error[tuple(at)])[:STARTS]
    return [(float(grid_d[i]), float(GRID_F[j])) for i, j in best]


def _grid_errors(x: np.ndarray, y: np.ndarray, grid_d: np.ndarray) -> np.ndarray:
    """Squared error of the best line with a break, (GRID_D, len(GRID_F)), less a constant."""
    z = (x - grid_d[:, None, None]) / GRID_F[:, None]
    breaks = _softplus(z).reshape(-1, len(x))
    line, _ = np.linalg.qr(np.column_stack([np.ones_like(x), x]))
    # What a line leaves of the curve, and of each break: one more regressor.
    y = y - line @ (line.T @ y)
    breaks -= (breaks @ line) @ line.T
    explained = (breaks @ y) ** 2 / np.einsum("ij,ij->i", breaks, breaks)
    return -explained.reshape(len(grid_d), len(GRID_F))


def _at(x: np.ndarray, y: np.ndarray, log_d: float, f: float) -> _Point:
    columns = np.array([*_design(x, log_d, f), y]).T
    # Below the diagonal "raw" leaves other things; mode "r" takes half its time to clear them.
    raw, _ = np.linalg.qr(columns, mode="raw")
    return _Point(log_d, f, UPPER * raw.T[:6])


def _descend(x: np.ndarray, y: np.ndarray, log_d: float, f: float, offset: float) -> _Point:
    """Levenberg-Marquardt over (log d_1, log f_1) from a start, damped by Nielsen's rule."""
    low, high = np.array([[x[0], x[-1]], np.log(F_RANGE)]).T

    def within(p: np.ndarray) -> np.ndarray:
        return np.minimum(np.maximum(p, low), high)

    p, at = np.array([log_d, np.log(f)]), _at(x, y, log_d, f)
    damping, growth = 1e-3, 2.0
    for _ in range(100):
        # What is at its bound and would go beyond stays there.
        held = within(p + at.slopes.T @ at.residual) == p
        slopes = at.slopes * ~held
        downhill = slopes.T @ at.residual
        normal = slopes.T @ slopes
        # Not singular where a direction is held, or none changes the curve (c_1 = 0).
        regular = damping * normal.diagonal() + held + 1e-300
        step = np.linalg.solve(normal + np.diag(regular), downhill)
        promised = downhill @ step
        if promised <= offset**2 * at.error:
            break
        moved = within(p + step)
        there = _at(x, y, float(moved[0]), float(np.exp(moved[1])))
        # Nearer to the minimum errors differ by rounding, and damping stays as it is.
        if promised > 1e-12 * at.error:
            gain = (at.error - there.error) / promised
            if gain <= 0:
                damping, growth = damping * growth, 2 * growth
                continue
            damping, growth = damping * max(1 / 3, 1 - (2 * gain - 1) ** 3), 2.0
        p, at = moved, there
    return at


def _covariance(at: _Point, n: int) -> np.ndarray:
    """Of the parameters in the order of ``NAMES``, (5, 5)."""
    log_b, _, c_1 = at.linear
    jacobian = at.r[:5, :5] * [np.exp(-log_b), 1, 1, c_1, c_1 / at.f]
    _, s, vt = np.linalg.svd(jacobian)
    return (vt.T / s**2) @ vt * (at.error / (n - len(NAMES)))


def _inside(x: np.ndarray, log_d: float, f: float) -> bool:
    """Whether the break is within the search range and not just at its edge."""
    low, high = F_RANGE[0] * 1.01, F_RANGE[1] / 1.01
    return bool(x[0] < log_d < x[-1] and low < f < high)
