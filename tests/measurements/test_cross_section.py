import numpy as np
import pytest
import torch

from zsl.config.measurements import CrossSection
from zsl.errors import MeasurementError
from zsl.measurements import cross_section
from zsl.measurements.chebyshev import chebyshev_points
from zsl.measurements.cross_section import Line, correlation, fine_mean, sharpness
from zsl.measurements.hdf5 import writing
from zsl.measurements.next_step import norm
from zsl.models.olmo.build import build_model
from zsl.training.step import token_losses

SETTINGS = CrossSection(points=9, span=4.0, nodes=11, fine_points=25, epsilon=1e-3)


@pytest.fixture
def model(make_run, tokenizer):
    return build_model(make_run(), tokenizer).eval()


@pytest.fixture
def input_ids(tokens):
    return torch.from_numpy(tokens.array[:5].copy())


@pytest.fixture
def update(model, random_update):
    return random_update(model, scale=3e-3)


def measured(model, update, input_ids, tmp_path, settings=SETTINGS, micro_batch_size=2):
    with writing(tmp_path / "out.h5") as file:
        group = file.create_group("x")
        cross_section.measure(model, input_ids, update, settings, micro_batch_size, group)
        return {name: dataset[()] for name, dataset in group.items()} | dict(group.attrs)


def by_hand(model, update, alpha, input_ids):
    """Token losses in float64 at theta + alpha u / norm(u)."""
    scale = alpha / norm(update)
    moved = {n: p.detach().double() + scale * update[n] for n, p in model.named_parameters()}
    with torch.no_grad():
        logits = torch.func.functional_call(model.double(), moved, (input_ids,)).logits
        return token_losses(logits, input_ids).numpy()


def test_losses_along_the_line_equal_those_of_moved_weights(model, update, input_ids, tmp_path):
    got = measured(model, update, input_ids, tmp_path)
    assert {-4.0, 0.0, 4.0, got["update_norm"]} <= set(got["alpha"])
    assert got["update_norm"] == pytest.approx(norm(update))
    assert len(set(got["alpha"])) == len(got["alpha"]) == got["cross_section"].shape[0]
    for alpha, losses in zip(got["alpha"], got["cross_section"], strict=True):
        truth = by_hand(model, update, alpha, input_ids)
        np.testing.assert_allclose(losses, truth, atol=2e-5)
    np.testing.assert_allclose(got["mean_cross_section"], got["cross_section"].mean((1, 2)), 1e-5)


def test_the_section_is_denser_near_zero(model, update, input_ids, tmp_path):
    got = measured(model, update, input_ids, tmp_path)
    near = np.abs(got["alpha"]) <= 3 * got["update_norm"]
    assert near.sum() / (6 * got["update_norm"]) > 2 * near.size / 8


def test_weights_are_restored_even_after_an_error(model, update, input_ids):
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    with pytest.raises(RuntimeError), Line(model, update) as line:
        line.losses(1.0, input_ids, 5)
        raise RuntimeError
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())


def test_the_step_itself_is_the_update_to_the_last_bit(model, update):
    after = {n: p.detach() + update[n] for n, p in model.named_parameters()}
    with Line(model, update) as line:
        line._move(line.norm / line.norm)
        assert all(torch.equal(p, after[n]) for n, p in model.named_parameters())


def test_first_order_and_forward_difference_agree(model, update, input_ids, tmp_path):
    got = measured(model, update, input_ids, tmp_path)
    exact, forward = got["first_order_delta_loss"], got["finite_difference_delta_loss"]
    # Not more than what float32 losses allow at this epsilon.
    assert np.abs(exact - forward).mean() < 0.1 * np.abs(exact).mean()
    slope = np.gradient(got["mean_cross_section"], got["alpha"])[got["alpha"] == 0]
    assert slope * got["update_norm"] == pytest.approx(exact.mean(), rel=0.02)


def test_scalars_are_those_of_the_step_and_of_its_approximations(
    model, random_update, input_ids, tmp_path
):
    got = measured(model, random_update(model, scale=0.3), input_ids, tmp_path)
    at = dict(zip(got["alpha"], got["cross_section"].astype(np.float64), strict=True))
    change = at[got["update_norm"]] - at[0.0]
    exact, forward = got["first_order_delta_loss"], got["finite_difference_delta_loss"]
    for name, approximation in (("r_jvp", exact), ("r_fd", forward)):
        truth = np.corrcoef(change.ravel(), approximation.ravel())[0, 1]
        assert got[name] == pytest.approx(truth, abs=1e-6)
    assert got["r_jvp"] != got["r_fd"]
    for name, values in (("D", change), ("D_first_order", exact)):
        truth = 1 - abs(values.sum(dtype=np.float64)) / np.abs(values).sum(dtype=np.float64)
        assert got[name] == pytest.approx(truth, rel=1e-4)
    assert got["D"] != pytest.approx(got["D_first_order"], rel=1e-3)


def test_correlation_is_one_for_a_small_step(model, random_update, input_ids, tmp_path):
    small = measured(model, random_update(model, scale=1e-5), input_ids, tmp_path)
    large = measured(model, random_update(model, scale=3e-1), input_ids, tmp_path)
    assert small["r_jvp"] > 0.99
    assert large["r_jvp"] < 0.9
    assert not large["step_on_grid"] or large["update_norm"] <= SETTINGS.span


def test_correlation_equals_its_definition():
    a, b = np.random.default_rng(0).normal(size=(2, 4, 5))
    b += a
    x, y = a - a.mean(), b - b.mean()
    assert correlation(a, b) == pytest.approx((x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum()))
    assert np.isnan(correlation(a, np.zeros_like(a)))


@pytest.mark.parametrize("window", [1.0, 2.5, 10.0])
def test_sharpness_is_the_second_order_coefficient(window):
    alpha = np.linspace(-10, 10, 41)
    assert sharpness(alpha, 3 - 0.2 * alpha + 0.07 * alpha**2, window) == pytest.approx(0.07)


@pytest.mark.parametrize("updates", [1.0, 2.0])
def test_sharpness_is_that_of_the_losses_so_many_updates_away(
    model, update, input_ids, tmp_path, updates
):
    """By hand in float64 at other places than the code's, whose window ends at the span."""
    settings = SETTINGS.model_copy(update={"sharpness_updates": updates})
    got = measured(model, update, input_ids, tmp_path, settings)
    window = updates * norm(update)
    assert got["sharpness_window"] == pytest.approx(window)
    at = np.linspace(-window, window, 15)
    truth = [by_hand(model, update, alpha, input_ids).mean() for alpha in at]
    assert got["sharpness"] == pytest.approx(np.polyfit(at, truth, 2)[0], rel=0.1)


def test_sharpness_sees_its_window_only():
    alpha = np.linspace(-10, 10, 41)
    losses = np.where(np.abs(alpha) <= 2, 0.5 * alpha**2, 99.0)
    assert sharpness(alpha, losses, 2.0) == pytest.approx(0.5)


@pytest.mark.parametrize("scale", [1e-4, 3e-1])
def test_the_fine_grid_is_within_its_tolerance(model, random_update, input_ids, scale):
    """Interpolated where that is accurate, else evaluated: right in both cases."""
    line = Line(model, random_update(model, scale=scale))
    nodes = chebyshev_points(11, 3 * line.norm)
    with line:
        at_nodes = line.section(nodes, input_ids, 5)
        fine = fine_mean(line, nodes, nodes, at_nodes, 31, input_ids, 5)
        direct = line.section(fine.alpha, input_ids, 5).mean(axis=(1, 2), dtype=np.float64)
    assert fine.method == ("interpolated" if scale == 1e-4 else "evaluated")
    np.testing.assert_allclose(fine.mean, direct, atol=cross_section.FINE_TOLERANCE)


def test_structure_between_the_nodes_is_seen(model, random_update, input_ids, monkeypatch):
    """A ripple that vanishes at every node shows at the places that are known besides."""
    line = Line(model, random_update(model, scale=1e-4))
    reach = 3 * line.norm
    nodes = chebyshev_points(11, reach)
    alpha = np.unique([*nodes, line.norm])

    def losses(line, alpha, input_ids, size):
        ripple = np.sin(10 * np.arccos(alpha / reach)) * 1e-3
        return np.broadcast_to(ripple, (5, 11)).astype(np.float32)

    monkeypatch.setattr(Line, "losses", losses)
    known = line.section(alpha, input_ids, 5)
    fine = fine_mean(line, nodes, alpha, known, 31, input_ids, 5)
    assert fine.method == "evaluated"
    truth = line.section(fine.alpha, input_ids, 5).mean(axis=(1, 2), dtype=np.float64)
    np.testing.assert_array_equal(fine.mean, truth)


@pytest.mark.parametrize("micro_batch_size", [1, 3, 5])
def test_micro_batches_change_nothing(model, update, input_ids, tmp_path, micro_batch_size):
    whole = measured(model, update, input_ids, tmp_path, micro_batch_size=5)
    got = measured(model, update, input_ids, tmp_path, micro_batch_size=micro_batch_size)
    for name in ("cross_section", "first_order_delta_loss", "r_jvp", "fine_mean_cross_section"):
        np.testing.assert_allclose(got[name], whole[name], atol=2e-5)


def test_an_update_of_zero_is_an_error(model, input_ids, tmp_path):
    zero = {n: torch.zeros_like(p) for n, p in model.named_parameters()}
    with pytest.raises(MeasurementError, match="the next update is zero"):
        measured(model, zero, input_ids, tmp_path)
    assert not (tmp_path / "out.h5").exists()


def test_every_dataset_is_described(model, update, input_ids, tmp_path):
    measured(model, update, input_ids, tmp_path)
    import h5py

    with h5py.File(tmp_path / "out.h5") as file:
        for dataset in file["x"].values():
            assert dataset.attrs["units"] and dataset.attrs["description"]
            axes = [axis for axis in dataset.attrs["axes"].split(", ") if axis]
            assert len(axes) == dataset.ndim
