"""Intervals that hold the truth, on synthetic curves from the parameters of Tables 4 to 7."""

import numpy as np
import pytest
import scipy.stats

from zsl.fits.bnsl import fit_bnsl
from zsl.fits.bootstrap import LEVEL, QUANTITIES, Bootstrap, bootstrap, paths

TRUTHS = {
    "14M": (18.42, 0.17, -0.16, 8.68, 0.20, 0.011),
    "OLMo-1B": (25.97, 0.27, -0.23, 8.22, 0.76, 0.008),
    "Muon": (12.04, 0.18, -0.17, 7.36, 0.71, 0.010),
}
"""b, c_0, c_1, log d_1, f_1 and RSLE as printed."""
SETTINGS = {"replicates": 100, "block": 0.3, "seed": 0}


def steps(last=262_144):
    grid = [*range(110, 1000, 10), *range(1000, 10_000, 100), *range(10_000, last + 1, 1000)]
    return np.array(grid, dtype=float)


def log_loss(x, b, c_0, c_1, log_d_1, f_1, _RSLE):
    return np.log(b) - c_0 * x - c_1 * f_1 * np.logaddexp(0, (x - log_d_1) / f_1)


def autoregressive(generator, curves, points, phi):
    """Stationary AR(1) per point with variance 1, (curves, points), by its recursion."""
    noise = np.empty((curves, points))
    noise[:, 0] = generator.standard_normal(curves)
    for i in range(1, points):
        fresh = generator.standard_normal(curves)
        noise[:, i] = phi * noise[:, i - 1] + np.sqrt(1 - phi**2) * fresh
    return noise


@pytest.mark.parametrize("truth", TRUTHS)
def test_intervals_hold_the_truth_where_noise_has_the_published_correlation(truth):
    """At least 85 % of 20 curves in each quantity, where pcov's normal interval misses most."""
    b, c_0, c_1, log_d_1, *_, RSLE = TRUTHS[truth]
    true = {"L_d": b * np.exp(-c_0 * log_d_1), "t_d": np.exp(log_d_1), "r_d": c_0 + c_1}
    t, n = steps(), 20
    noise = autoregressive(np.random.default_rng(1), n, len(t), 0.997)
    held = dict.fromkeys(true, 0)
    slopes = 0
    for each in noise:
        losses = np.exp(log_loss(np.log(t), *TRUTHS[truth]) + RSLE * each)
        fit = fit_bnsl(t, losses)
        made = bootstrap(t, losses, fit, T=262_144, **SETTINGS)
        for name, value in true.items():
            low, high = made.interval(name)
            held[name] += low <= value <= high
        slopes += abs(fit.c_0 - c_0) <= 1.96 * fit.errors[1]
    assert min(held.values()) >= 0.85 * n, held
    assert slopes < 0.5 * n, "the errors of independent residuals are too small"


def test_paths_of_whole_blocks_are_the_residuals_times_a_number():
    """One block spans the curve: every path is a multiple of the residuals, begun at zero."""
    x = np.log(steps())
    residuals = np.sin(3 * x) / x
    made = paths(x, residuals, 500, 1e6, np.random.default_rng(0))
    factors = made[:, -1] / (residuals[-1] - residuals[0])
    np.testing.assert_allclose(made, np.outer(factors, residuals - residuals[0]), atol=1e-12)
    assert abs(factors.mean()) < 0.15 and factors.std() == pytest.approx(1, abs=0.1)


def test_changes_keep_their_place_and_blocks_have_their_length():
    x = np.linspace(0, 4, 401)
    residuals = np.where(x < 2, x, 2.0)  # no noise after x = 2
    made = np.diff(paths(x, residuals, 2000, 0.5, np.random.default_rng(0)), axis=1)
    assert not made[:, 200:].any()
    np.testing.assert_allclose(made.std(0)[:200], 0.01, rtol=0.12)
    # Two changes share a block of length 0.5 with the probability 1 - distance / 0.5.
    for distance, share in ((10, 0.8), (25, 0.5), (40, 0.2), (60, 0.0)):
        correlation = np.corrcoef(made[:, 60], made[:, 60 + distance])[0, 1]
        assert correlation == pytest.approx(share, abs=0.07)


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others():
    t = steps()
    noise = autoregressive(np.random.default_rng(2), 1, len(t), 0.97)[0]
    losses = np.exp(log_loss(np.log(t), *TRUTHS["14M"]) + 0.01 * noise)
    fit = fit_bnsl(t, losses)
    one, two = (bootstrap(t, losses, fit, T=300_000, **SETTINGS) for _ in range(2))
    other = bootstrap(t, losses, fit, T=300_000, **{**SETTINGS, "seed": 1})
    for name in QUANTITIES:
        assert one.interval(name) == two.interval(name) != other.interval(name)


def test_replicates_are_fits_from_the_grid_too():
    """Refits start at the fit and end early; whole fits of the same noise agree with them."""
    t = steps()
    noise = autoregressive(np.random.default_rng(3), 1, len(t), 0.99)[0]
    losses = np.exp(log_loss(np.log(t), *TRUTHS["OLMo-1B"]) + 0.008 * noise)
    fit = fit_bnsl(t, losses)
    made = bootstrap(t, losses, fit, T=262_144, replicates=40, block=0.3, seed=5)
    smooth = fit.log_loss(t)
    added = paths(np.log(t), np.log(losses) - smooth, 40, 0.3, np.random.default_rng(5))
    whole = [fit_bnsl(t, np.exp(smooth + each)) for each in added]
    for name in ("L_d", "t_d", "r_d"):
        spread = made.values[name].std()
        difference = made.values[name] - [getattr(each, name) for each in whole]
        assert abs(difference).max() < 0.02 * spread
    L_hat = [each.L_hat(262_144) for each in whole]
    np.testing.assert_allclose(made.values["L_hat_T"], L_hat, rtol=1e-4)


@pytest.mark.parametrize("blocks", [2, 15, 10_000])
def test_an_interval_is_that_of_student_s_t_for_normal_replicates(blocks):
    normal = scipy.stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    made = Bootstrap({"L_d": np.random.default_rng(0).permutation(normal)}, failed=0, blocks=blocks)
    end = min(scipy.stats.t.ppf((1 + LEVEL) / 2, blocks - 1), normal[-1])
    assert made.interval("L_d") == pytest.approx((-end, end), abs=1e-3)


def test_replicates_without_a_break_are_counted():
    t = steps(20_000)
    noise = autoregressive(np.random.default_rng(4), 1, len(t), 0.997)[0]
    made = []
    for c_1 in (-0.16, -0.002):
        truth = (18.0, 0.17, c_1, 8.0, 0.2, 0.0)
        losses = np.exp(log_loss(np.log(t), *truth) + 0.01 * noise)
        made.append(bootstrap(t, losses, fit_bnsl(t, losses), T=20_000, **SETTINGS))
    assert made[0].failed == 0 < made[1].failed
    assert len(made[1].values["t_d"]) == SETTINGS["replicates"]
