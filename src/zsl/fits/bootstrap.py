"""How far L_d, t_d and r_d could be from what a fit gives: a block bootstrap in log steps.

Neighbouring residuals of a smoothed curve correlate at .995 and more, so errors that take them
for independent are far too small. Blocks of residuals set side by side are no remedy: noise with
so long a memory is mostly followed by the five parameters, and its slow part, which moves them
most, is not in the residuals. What the residuals do show is how fast the noise changes. So their
*changes* are resampled, and a path of noise is the sum of them:

- Changes keep their place, for they are larger at early steps; those of a block, an interval of
  log t, are multiplied by one random number, as in a wild bootstrap (Shao, Journal of Time
  Series Analysis 32, 2011).
- Paths are continuous across blocks (Paparoditis and Politis, Econometric Theory 17, 2001), as
  if noise never returned to zero. Where it does, intervals are wider than need be.

``benchmarks/coverage.py`` measures how often intervals hold the truth, and for which noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from zsl.fits.bnsl import NAMES, Bnsl, fit_bnsl

LEVEL = 0.95
"""Confidence of the intervals."""
OFFSET = 1e-3
"""How exact refits are (see :data:`zsl.fits.bnsl.OFFSET`): to a thousandth of their spread."""
QUANTITIES = ("L_d", "t_d", "r_d", "L_hat_T")
"""What has an interval, beside the parameters."""


@dataclass(frozen=True)
class Bootstrap:
    """Replicates of what a fit measures."""

    values: dict[str, np.ndarray]
    """(replicates,) by name, of ``QUANTITIES`` and of the parameters."""
    failed: int
    """How many replicates had no break inside the fitted steps; they count, too, for to leave
    them out would make intervals narrow just where a curve says little."""

    blocks: int
    """How many blocks the curve has."""

    def interval(self, quantity: str) -> tuple[float, float]:
        """Percentiles of a quantity's replicates, in its unit.

        They are taken further out than ``LEVEL`` as Student's t asks for few blocks (Hesterberg,
        The American Statistician 69, 2015).
        """
        tail = ndtr(stdtrit(max(self.blocks - 1, 1), (1 - LEVEL) / 2))
        low, high = np.quantile(self.values[quantity], [tail, 1 - tail])
        return float(low), float(high)


def bootstrap(
    steps: np.ndarray,
    losses: np.ndarray,
    fit: Bnsl,
    *,
    T: int,
    replicates: int,
    block: float,
    seed: int,
) -> Bootstrap:
    """Fit again ``replicates`` times to the fit's curve with noise made from its residuals.

    ``steps`` (n,) and ``losses`` (n,), nats, are what ``fit`` was fitted to; ``block`` is the
    length of a block in log steps. L_hat_T is at step ``T``.
    """
    x = np.log(steps)
    smooth = fit.log_loss(steps)
    noise = paths(x, np.log(losses) - smooth, replicates, block, np.random.default_rng(seed))
    start = fit.log_d_1, fit.f_1
    refits = [fit_bnsl(steps, np.exp(smooth + each), start, OFFSET) for each in noise]
    rows = [(each.L_d, each.t_d, each.r_d, each.L_hat(T), *each.parameters) for each in refits]
    values = dict(zip((*QUANTITIES, *NAMES), np.array(rows).T, strict=True))
    failed = sum(not refit.break_inside for refit in refits)
    return Bootstrap(values, failed=failed, blocks=math.ceil((x[-1] - x[0]) / block))


def paths(
    x: np.ndarray, residuals: np.ndarray, n: int, block: float, generator: np.random.Generator
) -> np.ndarray:
    """``n`` continuous paths (n, points) from ``residuals`` (points,) at ``x`` = log t.

    The changes from point to point keep their place, and with it their size, which falls with t;
    those of a block are multiplied by one number, normal with variance 1. Where the first block
    begins is random.
    """
    middle = (x[1:] + x[:-1]) / 2 - x[0]
    blocks = ((middle + generator.uniform(0, block, (n, 1))) // block).astype(int)
    factors = generator.standard_normal((n, blocks.max() + 1))
    changes = np.diff(residuals) * np.take_along_axis(factors, blocks, axis=1)
    return np.concatenate([np.zeros((n, 1)), np.cumsum(changes, axis=1)], axis=1)
