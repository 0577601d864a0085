import json

import numpy as np
import pandas as pd
import pytest

from zsl.curves.smoothing import lsma, subsample, thin
from zsl.curves.train_loss import train_loss_curve
from zsl.errors import ZslError


def direct(steps, losses, k):
    """LSMA_k as a loop over a moving window of steps, both ends included (A.2)."""
    result = []
    for t in steps:
        window = [v for s, v in zip(steps, losses, strict=True) if max(1, int(t / k)) <= s <= t]
        result.append(sum(window) / len(window))
    return np.array(result)


@pytest.mark.parametrize("k", [1.2, 2.0])
def test_lsma_equals_the_loop(k):
    generator = np.random.default_rng(0)
    steps = np.arange(1, 401)
    losses = 11 * steps**-0.15 + generator.normal(0, 0.1, len(steps))
    np.testing.assert_allclose(lsma(steps, losses, k), direct(steps, losses, k), rtol=1e-13)


def test_lsma_goes_by_step_not_by_index():
    """Gaps and a repeated last step, as in the log of OLMo-7B."""
    steps = np.array([1, 2, 5, 9, 10, 11, 40, 41, 60, 60])
    losses = np.arange(10.0)
    smoothed = lsma(steps, losses, 1.2)
    expected = direct(steps, losses, 1.2)
    np.testing.assert_allclose(smoothed, expected, rtol=1e-13)
    assert smoothed[-1] == 8.5


def test_lsma_divides_by_the_number_of_terms():
    assert np.all(lsma(np.arange(1, 50), np.full(49, 3.25), 1.2) == 3.25)


def test_lsma_keeps_its_digits_over_a_long_curve():
    steps = np.arange(1, 262_145)
    losses = 1e6 + np.sin(steps)
    smoothed = lsma(steps, losses, 1.2)
    for t in (1, 100_000, 262_144):
        window = losses[max(1, int(t / 1.2)) - 1 : t]
        exact = 1e6 + np.sin(np.arange(t - len(window) + 1, t + 1)).mean()
        assert smoothed[t - 1] == pytest.approx(exact, abs=1e-8)


@pytest.mark.parametrize("interval", [7, 50, 64])
@pytest.mark.parametrize("start", [1, 50, 64])
def test_lsma_of_a_log_at_any_interval_equals_the_loop(interval, start):
    steps = np.arange(start, 6000, interval)
    losses = 11 * steps**-0.15 + np.random.default_rng(0).normal(0, 0.1, len(steps))
    np.testing.assert_allclose(lsma(steps, losses, 1.2), direct(steps, losses, 1.2), rtol=1e-13)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_spoils_its_windows_alone(broken):
    steps = np.arange(1, 1001)
    losses = 11 * steps**-0.15
    spoilt = losses.copy()
    spoilt[499] = broken
    smoothed = lsma(steps, spoilt, 1.2)
    holds = (np.maximum(1, (steps / 1.2).astype(int)) <= 500) & (steps >= 500)
    np.testing.assert_array_equal(np.isnan(smoothed), holds)
    expected = lsma(steps, losses, 1.2)[~holds]
    np.testing.assert_allclose(smoothed[~holds], expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("steps", "losses"), [([], []), ([1, 2], [1.0]), ([0, 1], [1.0, 1.0]), ([2, 1], [1.0, 1.0])]
)
def test_lsma_refuses_what_is_not_a_curve(steps, losses):
    with pytest.raises(ValueError):
        lsma(np.array(steps), np.array(losses), 1.2)


def test_subsample_thins_out_by_decades():
    steps = np.arange(1, 102_346)
    kept = steps[subsample(steps, 10)].tolist()
    expected = [*range(10, 100), *range(100, 1000, 10), *range(1000, 10_000, 100)]
    assert kept == [*expected, *range(10_000, 102_001, 1000), 102_345]
    assert steps[subsample(steps[:30], 2)].tolist() == [*range(2, 20), 20, 30]


def test_subsample_is_the_grid_of_the_published_curves(published):
    curves = json.loads((published / "bnsl_fit.json").read_text())
    x = np.array(curves["14M"]["smoothed_loss"]["x"])
    steps = np.arange(1, x[-1] + 1)
    np.testing.assert_array_equal(steps[subsample(steps, 10)], x)


@pytest.mark.parametrize("first", [2, 10])
def test_a_log_of_every_step_is_thinned_to_the_grid(first):
    steps = np.arange(1, 102_346)
    np.testing.assert_array_equal(thin(steps, first), subsample(steps, first))
    grid = steps[subsample(steps, first)]
    np.testing.assert_array_equal(grid[thin(grid, first)], grid)


@pytest.mark.parametrize("start", [0, 1, 37])
@pytest.mark.parametrize("interval", [5, 50, 64, 500])
def test_a_log_at_any_interval_keeps_a_step_in_every_cell_of_the_grid(start, interval):
    steps = np.arange(start or interval, 100_001, interval)
    kept = steps[thin(steps, 10)]
    edges = np.arange(1, 100_001)[subsample(np.arange(1, 100_001), 10)]
    cell = np.searchsorted(edges, kept, side="right")
    assert kept[-1] == steps[-1] and (np.diff(cell[:-1]) > 0).all(), "not two in a cell"
    reached = np.unique(np.searchsorted(edges, steps[steps >= 10], side="right"))
    np.testing.assert_array_equal(np.unique(cell), reached)


def write_steps(path, steps):
    losses = 5 - 0.01 * np.asarray(steps)
    table = {"step": steps, "train_loss": losses, "learning_rate": 0.1, "grad_norm": 1.0}
    pd.DataFrame(table).to_csv(path, index=False)
    return path


def test_train_loss_curve_joins_segments_and_smooths_before_it_subsamples(tmp_path):
    files = [
        write_steps(tmp_path / "a.csv", range(1, 65)),
        write_steps(tmp_path / "b.csv", range(65, 201)),
    ]
    curve = train_loss_curve("main-x", files, 1.2, 10)
    assert list(curve.columns) == ["run", "step", "train_loss", "smoothed_train_loss"]
    steps = curve["step"].to_numpy()
    assert steps.tolist() == [*range(10, 100), *range(100, 201, 10)]
    first = np.maximum(1, np.floor(steps / 1.2))
    np.testing.assert_allclose(curve["smoothed_train_loss"], 5 - 0.01 * (first + steps) / 2)


def test_a_missing_step_is_named(tmp_path):
    files = [write_steps(tmp_path / "a.csv", [*range(1, 10), *range(11, 20)])]
    with pytest.raises(ZslError, match="main-x: step 10 is missing"):
        train_loss_curve("main-x", files, 1.2, 10)
