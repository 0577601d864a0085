"""Intervals of D and M hold the truth as often as they say, and count sequences, not tokens."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, norm

from zsl.curves.measured import CURVES
from zsl.measurements.bootstrap import intervals
from zsl.measurements.delta_loss import write_delta_loss
from zsl.measurements.hdf5 import writing

SHARED = 0.8
"""Spread of what the tokens of a simulated sequence have in common, beside 1 of their own."""


def simulated(mean, sequences, generator, positions=8):
    """Normal changes that correlate within a sequence, with a spread of its own."""
    size = (sequences, 1)
    scale = np.exp(generator.normal(0, 0.3, size))
    common = SHARED * generator.normal(size=size)
    return scale * (mean + common + generator.normal(size=(sequences, positions)))


def population(mean):
    """D and M of the simulated changes: those of a folded normal."""
    spread = np.hypot(1, SHARED)
    folded = spread * 2 * norm.pdf(mean / spread) + mean * (1 - 2 * norm.cdf(-mean / spread))
    return 1 - abs(mean) / folded, np.exp(0.3**2 / 2) * folded


def covered(mean, reshape=lambda delta: delta, sets=400):
    """In how many of the sets the intervals hold the population's D and M."""
    generator = np.random.default_rng(5)
    D, M = population(mean)
    hits = np.zeros(2, int)
    for seed in range(sets):
        delta = reshape(simulated(mean, 150, generator))
        found = intervals(delta, resamples=500, seed=seed)
        hits += [
            found[f"{x}_low"] <= true <= found[f"{x}_high"] for x, true in (("D", D), ("M", M))
        ]
    return hits


def test_four_sequences_give_the_range_of_all_their_resamples():
    """Student's t asks for more than the outermost of 256 resamples."""
    delta = np.random.default_rng(0).normal(-0.5, 1, (4, 7))
    D, M = [], []
    for drawn in product(range(4), repeat=4):
        values = delta[list(drawn)]
        D.append(1 - abs(values.sum()) / abs(values).sum())
        M.append(abs(values).mean())
    assert all(delta[i].sum() < 0 for i in range(4)), "or D = 1 would be within"
    found = intervals(delta, resamples=5000, seed=1)
    expected = {"D_low": min(D), "D_high": max(D), "M_low": min(M), "M_high": max(M)}
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("mean", [0.0, -0.2, 1.0])
def test_intervals_cover_the_population_as_often_as_they_say(mean):
    least, most = binom.ppf([0.001, 0.999], 400, 0.95)
    hits = covered(mean)
    assert (least <= hits).all() and (hits <= most).all()


def test_tokens_of_a_sequence_are_no_independent_draws():
    D, _ = covered(-0.2, lambda delta: delta.reshape(-1, 1), sets=100)
    assert D < binom.ppf(0.001, 100, 0.95)


def test_d_of_one_is_within_where_the_mean_may_have_either_sign():
    found = intervals(simulated(0.0, 50, np.random.default_rng(3)) - 0.01, resamples=500, seed=0)
    assert found["D_high"] == 1 and 0 < found["D_low"] < 1


def test_d_has_no_unit_and_no_sign_and_m_has_its_unit():
    delta = simulated(-0.5, 30, np.random.default_rng(4))
    found = intervals(delta, resamples=500, seed=0)
    scaled = intervals(-8 * delta, resamples=500, seed=0)
    for end in ("low", "high"):
        assert scaled[f"D_{end}"] == pytest.approx(found[f"D_{end}"], rel=1e-12)
        assert scaled[f"M_{end}"] == pytest.approx(8 * found[f"M_{end}"], rel=1e-12)


def test_a_seed_fixes_the_draws():
    delta = simulated(-0.5, 30, np.random.default_rng(4))
    one, again, other = (intervals(delta, resamples=500, seed=seed) for seed in (0, 0, 1))
    assert one == again and one != other


@pytest.mark.parametrize("delta", [np.ones((1, 5)), np.zeros((4, 5))])
def test_one_sequence_or_no_change_gives_no_interval(delta):
    assert np.isnan(list(intervals(delta, resamples=500, seed=0).values())).all()


def test_curves_of_loss_changes_have_the_ends_of_their_intervals(tmp_path):
    generator = np.random.default_rng(6)
    paths = [tmp_path / f"{name}.h5" for name in ("00000000-00000004", "decades")]
    changes, draws = {}, {"resamples": 300, "seed": 9}
    for path, pairs in zip(paths, (((2, 4), (1, 2)), ((3, 4),)), strict=True):
        with writing(path) as file:
            for step, step_next in pairs:
                changes[step, step_next] = simulated(-0.5, 20, generator).astype(np.float32)
                delta = changes[step, step_next].astype(np.float64)
                write_delta_loss(file, step, step_next, delta, **draws)
    doublings = CURVES["delta_loss"]("main-x", paths[:1])
    assert list(doublings["step"]) == [1, 2]
    grids = CURVES["step_grids"]("main-x", paths)
    assert list(grids["grid"]) == ["doublings", "doublings", "decades"]
    assert set(grids) == {"grid", *doublings}
    for table in (doublings, grids):
        for row in table.to_dict("records"):
            ends = intervals(changes[row["step"], row["step_next"]], **draws)
            assert {name: row[name] for name in ends} == ends
            assert row["D_low"] < row["D"] < row["D_high"]
            assert row["M_low"] < row["M"] < row["M_high"]
