"""One-break broken neural scaling laws fitted to loss curves (Eqs. 1 and 2; A.2).

With a = 0 and x = log t, Eq. 1 is log L = log b - c_0 x - c_1 f_1 log(1 + exp((x - log d_1) /
f_1)). Given (log d_1, f_1) it is linear in (log b, c_0, c_1), so only those two are searched
(variable projection), and the start comes from a grid instead of a guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from zsl.errors import FitError

NAMES = ("b", "c_0", "c_1", "log_d_1", "f_1")
"""Parameters in the order of the covariance."""

F_RANGE = (0.005, 5.0)
"""f_1 is searched here, and log d_1 between the first and the last point: outside, the two
segments cannot be told apart and the parameters run away."""

GRID_F = np.exp(np.linspace(np.log(0.03), np.log(1.5), 8))
GRID_D = 24
STARTS = 3


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
        design = _design(np.log(steps), self.log_d_1, self.f_1)
        return design @ np.array([np.log(self.b), self.c_0, self.c_1])


def fit_bnsl(steps: np.ndarray, losses: np.ndarray) -> Bnsl:
    """Fit Eq. 1 with a = 0 to losses (n,) in nats at ``steps`` (n,), least squares in log L.

    Raises FitError when there are too few points or a value is not positive and finite.
    """
    steps = np.asarray(steps, dtype=np.float64)
    losses = np.asarray(losses, dtype=np.float64)
    _check(steps, losses)
    x, y = np.log(steps), np.log(losses)
    fits = [_refine(x, y, *start) for start in _starts(x, y)]
    _, log_d, f = min(fits)
    return _polish(x, y, log_d, f)


def _check(steps: np.ndarray, losses: np.ndarray) -> None:
    if len(steps) <= len(NAMES):
        raise FitError(
            f"{len(steps)} points cannot be fitted with {len(NAMES)} parameters; lower the cut "
            "(fits.cut) or train longer"
        )
    for name, values in (("step", steps), ("loss", losses)):
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            raise FitError(f"{name} {values[bad][0]} at point {bad.argmax()} has no logarithm")


def _design(x: np.ndarray, log_d: float, f: float) -> np.ndarray:
    """Columns that multiply (log b, c_0, c_1), (n, 3)."""
    return np.column_stack([np.ones_like(x), -x, -f * np.logaddexp(0.0, (x - log_d) / f)])


def _project(x: np.ndarray, y: np.ndarray, log_d: float, f: float) -> tuple[np.ndarray, np.ndarray]:
    """Best (log b, c_0, c_1) at (log d_1, f_1), and the residuals (n,)."""
    design = _design(x, log_d, f)
    linear = np.linalg.lstsq(design, y, rcond=None)[0]
    return linear, y - design @ linear


def _starts(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    """The best few local minima of the projected error over a grid of (log d_1, f_1)."""
    grid_d = np.linspace(x[0], x[-1], GRID_D + 2)[1:-1]
    error = np.array([[(_project(x, y, d, f)[1] ** 2).sum() for f in GRID_F] for d in grid_d])
    padded = np.pad(error, 1, constant_values=np.inf)
    neighbours = [
        padded[1 + i : 1 + i + len(grid_d), 1 + j : 1 + j + len(GRID_F)]
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
        if (i, j) != (0, 0)
    ]
    minima = np.argwhere((error <= np.array(neighbours)).all(axis=0))
    best = sorted(minima.tolist(), key=lambda at: error[tuple(at)])[:STARTS]
    return [(float(grid_d[i]), float(GRID_F[j])) for i, j in best]


def _refine(x: np.ndarray, y: np.ndarray, log_d: float, f: float) -> tuple[float, float, float]:
    """Levenberg-Marquardt over (log d_1, log f_1): (squared error, log d_1, f_1)."""

    low = np.array([x[0], np.log(F_RANGE[0])])
    high = np.array([x[-1], np.log(F_RANGE[1])])

    def residuals(p: np.ndarray) -> np.ndarray:
        d, log_f = np.clip(p, low, high)
        return _project(x, y, d, np.exp(log_f))[1]

    def jacobian(p: np.ndarray) -> np.ndarray:
        # Kaufman's approximation: the change of the design at fixed linear parameters, less
        # what the linear parameters can follow.
        d, f = np.clip(p, low, high)[0], np.exp(np.clip(p, low, high)[1])
        design = _design(x, d, f)
        c_1 = np.linalg.lstsq(design, y, rcond=None)[0][2]
        q = np.linalg.qr(design)[0]
        change = c_1 * np.column_stack([_by_d(x, d, f), f * _by_f(x, d, f)])
        return change - q @ (q.T @ change)

    start = np.array([log_d, np.log(f)])
    found = least_squares(residuals, start, jacobian, method="lm", max_nfev=200)
    best = np.clip(found.x, low, high)
    return 2 * float(found.cost), float(best[0]), float(np.exp(best[1]))


def _by_d(x: np.ndarray, log_d: float, f: float) -> np.ndarray:
    """Derivative of f log(1 + exp(z)) by log d_1, z = (x - log d_1) / f: -sigmoid(z)."""
    return -_sigmoid((x - log_d) / f)


def _by_f(x: np.ndarray, log_d: float, f: float) -> np.ndarray:
    """Derivative of f log(1 + exp(z)) by f: log(1 + exp(z)) - z sigmoid(z)."""
    z = (x - log_d) / f
    return np.logaddexp(0.0, z) - z * _sigmoid(z)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -z))


def _polish(x: np.ndarray, y: np.ndarray, log_d: float, f: float) -> Bnsl:
    """Gauss-Newton in all five parameters to rounding, and the covariance there."""
    linear, _ = _project(x, y, log_d, f)
    p = np.array([*linear, log_d, f])
    for _ in range(50):
        jacobian, residual = _full(x, y, p)
        step = np.linalg.lstsq(jacobian, residual, rcond=None)[0]
        moved = p + step
        if not _inside(x, *moved[3:]) or (_full(x, y, moved)[1] ** 2).sum() > (residual**2).sum():
            break
        p = moved
        if np.abs(step).max() < 1e-13 * np.abs(p).max():
            break
    jacobian, residual = _full(x, y, p)
    b = float(np.exp(p[0]))
    in_b = jacobian.copy()
    in_b[:, 0] /= b
    error = float((residual**2).sum())
    _, s, vt = np.linalg.svd(in_b, full_matrices=False)
    covariance = (vt.T / s**2) @ vt * (error / (len(x) - len(p)))
    return Bnsl(
        b=b,
        c_0=float(p[1]),
        c_1=float(p[2]),
        log_d_1=float(p[3]),
        f_1=float(p[4]),
        covariance=covariance,
        RSLE=float(np.sqrt(error / len(x))),
        n_points=len(x),
        break_inside=_inside(x, float(p[3]), float(p[4])),
    )


def _inside(x: np.ndarray, log_d: float, f: float) -> bool:
    """Whether the break is within the search range and not just at its edge."""
    low, high = F_RANGE[0] * 1.01, F_RANGE[1] / 1.01
    return bool(x[0] < log_d < x[-1] and low < f < high)


def _full(x: np.ndarray, y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Jacobian (n, 5) of the model in (log b, c_0, c_1, log d_1, f_1), and residuals (n,)."""
    _, _, c_1, log_d, f = p
    design = _design(x, log_d, f)
    nonlinear = -c_1 * np.column_stack([_by_d(x, log_d, f), _by_f(x, log_d, f)])
    return np.column_stack([design, nonlinear]), y - design @ p[:3]
