"""Confidence intervals of D and M over evaluation sequences, by bootstrap.

Tokens of one sequence are dependent, so sequences are drawn with replacement, never tokens. At
D = 1, where losses rise as much as they fall, resamples of D all lie below the truth. The signed
share of the changes that does not cancel, sum / sum of abs, has no such edge: its interval is
made and D = 1 - abs(share) taken of it, so that D = 1 is within wherever both signs are.

Percentiles are taken further out as Student's t asks for few sequences (Hesterberg, The American
Statistician 69, 2015). In simulations with correlated tokens of unequal spread, intervals of 95 %
held D and M in 0.94 to 0.96 of all sets of 128 and of 976 sequences, D = 1 included; in sets of 8,
D in 0.94 to 0.97 and M in 0.89. Basic intervals did so less often, BCa no more.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, stdtrit
from scipy.stats import bootstrap

LEVEL = 0.95
"""Confidence of the intervals."""


def intervals(delta: np.ndarray, *, resamples: int, seed: int) -> dict[str, float]:
    """Ends of the intervals of D (Eq. 3) and M (Eq. 5, nats) of the changes ``delta``.

    ``delta`` is (sequences, positions), nats. Returns ``D_low, D_high, M_low, M_high``, NaN for
    a single sequence, which says nothing of others, and where nothing changes. A seed draws the
    same sequences for every ``delta`` with as many of them.
    """
    sums = delta.sum(axis=1, dtype=np.float64)
    absolute = np.abs(delta).sum(axis=1, dtype=np.float64)
    if len(delta) < 2 or not absolute.any():
        return dict.fromkeys(("D_low", "D_high", "M_low", "M_high"), float("nan"))
    share = _interval(sums, absolute, resamples, seed)
    M = _interval(absolute, np.full(len(delta), delta.shape[1]), resamples, seed)
    nearest = 0.0 if share[0] < 0 < share[1] else min(map(abs, share))
    return {"D_low": 1 - max(map(abs, share)), "D_high": 1 - nearest, "M_low": M[0], "M_high": M[1]}


def _interval(
    above: np.ndarray, below: np.ndarray, resamples: int, seed: int
) -> tuple[float, float]:
    """Interval of sum(above) / sum(below), both (sequences,)."""
    n = len(above)
    tail = ndtr((n / (n - 1)) ** 0.5 * stdtrit(n - 1, (1 - LEVEL) / 2))
    made = bootstrap(
        (above, below),
        lambda above, below, axis: above.sum(axis) / below.sum(axis),
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        confidence_level=1 - 2 * tail,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = made.confidence_interval
    return float(low), float(high)
