"""Totals over all tokens from a uniform sample of them, with their errors.

A token's s_i = sum_j abs(u_j g_ij) is expensive; other quantities x_i are known for every token.
What a regression of s on x leaves is estimated from the sample, the rest is summed exactly. The
coefficients come from one part of the sample and meet the residuals of another (cross-fitting),
so that the total is unbiased at any sample size, and exact when every token is in the sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

FOLDS = 10


@dataclass(frozen=True)
class Estimate:
    """A number estimated from a sample."""

    value: float
    se: float
    """Standard error."""
    degrees: int
    """Degrees of freedom of the standard error."""

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Ends of the confidence interval, by Student's t."""
        half = float(student_t.ppf((1 + level) / 2, self.degrees)) * self.se
        return self.value - half, self.value + half

    def ratio_of(self, part: float) -> Estimate:
        """part / total for a known ``part`` of this total, its bias removed to first order.

        1 / total is too large by Var / total^2, relatively, as 1 / x is convex. NaN where the
        total is zero, as nothing has interfered then.
        """
        if not self.value:
            return Estimate(float("nan"), float("nan"), self.degrees)
        relative = self.se / self.value
        ratio = part / self.value
        return Estimate(ratio * (1 - relative**2), abs(ratio) * relative, self.degrees)


def sample(n_tokens: int, size: int, seed: int) -> np.ndarray:
    """``size`` of ``n_tokens`` without replacement, in random order; all, if there are fewer."""
    return np.random.default_rng(seed).permutation(n_tokens)[:size]


def total_of(s: np.ndarray, chosen: np.ndarray, x: np.ndarray) -> Estimate:
    """Sum of s over all tokens, from ``s`` (n,) of the ``chosen`` (n,) in random order.

    ``x`` (tokens, k) is known for all. With O the sample without its fold k and b the
    coefficients fitted there, fold k estimates

        T_k = sum_O s + sum_(not O) x b + (N - |O|) mean_k (s - x b)

    without bias, and the estimate is the mean of the T_k.
    """
    N, n, k = len(x), len(chosen), x.shape[1]
    scale = np.linalg.norm(x, axis=0)
    x = x / np.where(scale > 0, scale, 1)
    totals, residuals = [], []
    for fold in np.array_split(np.arange(n), min(FOLDS, n)):
        others = np.delete(np.arange(n), fold)
        b = np.linalg.lstsq(x[chosen[others]], s[others], rcond=None)[0]
        residual = s[fold] - x[chosen[fold]] @ b
        rest = np.delete(np.arange(N), chosen[others])
        totals.append(s[others].sum() + (x[rest] @ b).sum() + len(rest) * residual.mean())
        residuals.append(residual)
    spread = np.concatenate(residuals).std(ddof=1)
    se = N * np.sqrt((1 - n / N) / n) * spread
    return Estimate(float(np.mean(totals)), float(se), max(1, n - 1 - k))
