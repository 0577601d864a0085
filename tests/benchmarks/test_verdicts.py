"""Curves that decelerate are not called doubtful, and others are, whatever their noise."""

from __future__ import annotations

import numpy as np
import pytest
import verdicts
from coverage import CUT, draw, grid, rows

from zsl.curves.smoothing import subsample
from zsl.fits.bnsl import fit_bnsl
from zsl.fits.bootstrap import bootstrap
from zsl.fits.verdict import doubts

T = np.arange(1, verdicts.T + 1)
STEPS = T[subsample(T, 10)]
USED = STEPS > CUT


def marked(steps: np.ndarray, losses: np.ndarray) -> bool:
    fit = fit_bnsl(steps, losses)
    if doubts(fit, steps, losses):  # to which the bootstrap only adds
        return True
    again = bootstrap(steps, losses, fit, T=int(steps[-1]), replicates=40, block=0.3, seed=0)
    return bool(doubts(fit, steps, losses, again))


def test_curves_of_the_papers_tables_stay_unmarked():
    """At most 2 % of 10 per row; ``benchmarks/verdicts.py`` makes 100 with the bootstrap."""
    found = []
    for seed, row in enumerate(rows()):
        t = grid(row.table)
        noise = draw("AR(1) per point", row, t, 10, np.random.default_rng(seed))
        found += [marked(t, np.exp(row.fit.log_loss(t) + each)) for each in noise]
    assert len(found) == 230 and np.mean(found) <= 0.02


@pytest.mark.parametrize("kind", ["raw", "AR(1)"])
@pytest.mark.parametrize("shape", verdicts.shapes(T))
def test_other_shapes_are_marked(shape, kind):
    losses = verdicts.shapes(T)[shape]
    found = []
    for seed in range(50):
        curve = verdicts.noisy(losses, kind, np.random.default_rng(seed))
        found.append(marked(STEPS[USED].astype(float), curve[USED]))
    assert np.mean(found) >= 0.95


def test_a_deceleration_with_the_same_noise_is_not():
    losses = verdicts.law(T, 20, 0.2, (-0.16, 5000, 0.25))
    for kind in ("raw", "AR(1)"):
        for seed in range(20):
            curve = verdicts.noisy(losses, kind, np.random.default_rng(seed))
            assert not marked(STEPS[USED].astype(float), curve[USED])
