"""One optimizer step from a checkpoint, against the step that training itself makes."""

import numpy as np
import pytest
import torch

from zsl.config.grids import Segment, checkpoint_name
from zsl.config.measurements import SingleStep
from zsl.errors import MeasurementError
from zsl.measurements import single_step
from zsl.measurements.hdf5 import writing
from zsl.measurements.next_step import NextStep, cosine, norm, stepper, unseen_batches
from zsl.measurements.token_losses import evaluate
from zsl.models.olmo.architecture import load_model
from zsl.training.order import batch_indices, data_order
from zsl.training.segment import train_segment
from zsl.training.step import token_losses
from zsl.training.trainer import make_trainer

CPU = torch.device("cpu")


@pytest.fixture
def run(make_run):
    return make_run(optimizer={"learning_rate": 1e-2, "clip": 0.5})


@pytest.fixture
def checkpoints(run, tokenizer, tokens, one_process, tmp_path):
    """Folders of the checkpoints of a trained run, by step."""
    trainer = make_trainer(run, tokenizer, tokens, 0, one_process)
    train_segment(trainer, Segment(0, 8), state=tmp_path / "state", parent=None, name="main-x")
    folder = tmp_path / "state" / "checkpoints"
    return {step: folder / checkpoint_name(step) for step in (0, 1, 2, 4, 8)}


def batch_of(tokens, run, step):
    order = data_order(len(tokens), 0)
    return torch.from_numpy(tokens.batch(batch_indices(order, step, run.batch_size)))


def loaded(run, folder):
    return NextStep(run, load_model(folder).eval(), CPU)


@pytest.mark.parametrize("t", [0, 1])
def test_it_is_the_step_that_training_makes(run, checkpoints, tokens, t):
    step = loaded(run, checkpoints[t])
    assert step.load(checkpoints[t]) == t
    step.step(t, batch_of(tokens, run, t + 1))
    trained = load_model(checkpoints[t + 1])
    for (name, ours), theirs in zip(
        step.model.named_parameters(), trained.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs), name


def test_update_leaves_the_model_at_the_checkpoint(run, checkpoints, tokens):
    step = loaded(run, checkpoints[4])
    update = step.update(checkpoints[4], batch_of(tokens, run, 9))
    again = step.update(checkpoints[4], batch_of(tokens, run, 9))
    other = step.update(checkpoints[4], batch_of(tokens, run, 10))
    at = dict(load_model(checkpoints[4]).named_parameters())
    for name, parameter in step.model.named_parameters():
        assert torch.equal(parameter, at[name])
        assert torch.equal(update[name], again[name])
    assert any(not torch.equal(update[name], other[name]) for name in update)


def test_gradient_has_the_direction_and_norm_of_the_batch(run, checkpoints, tokens):
    step = loaded(run, checkpoints[2])
    batch = batch_of(tokens, run, 9)
    truth = single_step.mean_gradient(load_model(checkpoints[2]).eval(), batch, 4)
    made = step.step(step.load(checkpoints[2]), batch)
    assert made.grad_norm == pytest.approx(norm(truth), rel=1e-5)
    assert made.grad_norm > run.optimizer.clip  # so that clipping matters here
    assert cosine(made.gradient, truth) == pytest.approx(1, abs=1e-6)


def test_unseen_batches_follow_the_last_step(run, tokens):
    order = data_order(len(tokens), 0)
    batches = unseen_batches(order, run, 3)
    assert batches.shape == (3, run.batch_size)
    np.testing.assert_array_equal(batches.ravel(), order[32:44])
    seen = {i for s in range(1, run.steps + 1) for i in batch_indices(order, s, run.batch_size)}
    assert not seen & set(batches.ravel())
    with pytest.raises(MeasurementError, match="64 training sequences"):
        unseen_batches(order, run, 9)


def test_norm_and_cosine(checkpoints, random_update):
    model = load_model(checkpoints[0])
    update = random_update(model)
    flat = torch.cat([u.flatten() for u in update.values()]).double()
    assert norm(update) == pytest.approx(float(flat.norm()), rel=1e-12)
    assert cosine(update, {n: -2 * u for n, u in update.items()}) == pytest.approx(-1, abs=1e-12)
    assert np.isnan(cosine(update, {n: 0 * u for n, u in update.items()}))


def measured(run, folder, batches, input_ids, tmp_path, **settings):
    chosen = SingleStep(**settings)
    step = stepper(run, load_model(folder).eval(), chosen, CPU)
    with writing(tmp_path / "out.h5") as file:
        group = file.create_group("x")
        single_step.measure(step, folder, batches, input_ids, chosen, 3, group)
        return {name: dataset[()] for name, dataset in group.items()}


@pytest.fixture
def batches(run, tokens):
    return torch.stack([batch_of(tokens, run, step) for step in (9, 10, 11)])


@pytest.fixture
def input_ids(tokens):
    return torch.from_numpy(tokens.array[50:57].copy())


def test_single_steps_equal_steps_made_by_hand(run, checkpoints, batches, input_ids, tmp_path):
    got = measured(run, checkpoints[4], batches, input_ids, tmp_path)
    for i, batch in enumerate(batches):
        step = loaded(run, checkpoints[4])
        step.load(checkpoints[4])
        before = {
            "eval": evaluate(step.model, input_ids, 99),
            "train": evaluate(step.model, batch, 99),
        }
        gradient = single_step.mean_gradient(step.model, input_ids, 99)
        made = step.step(4, batch)
        assert got["update_norm"][i] == pytest.approx(norm(made.update), rel=1e-12)
        assert got["cos_eval"][i] == pytest.approx(cosine(made.update, gradient), rel=1e-5)
        assert got["cos_train"][i] == pytest.approx(cosine(made.update, made.gradient), rel=1e-9)
        assert got["grad_norm_eval"] == pytest.approx(norm(gradient), rel=1e-5)
        for split, of in (("eval", input_ids), ("train", batch)):
            delta = evaluate(step.model, of, 99).astype(np.float64) - before[split]
            np.testing.assert_allclose(got[f"delta_loss_{split}"][i], delta, atol=2e-6)
            mean, D, M = (got[f"{name}_{split}"][i] for name in ("mean", "D", "M"))
            assert mean == pytest.approx(delta.mean(), abs=1e-6)
            assert abs(mean) == pytest.approx(M * (1 - D), rel=1e-12)  # Eq. 6
    assert got["M_noop"] < 1e-6


def test_a_step_lowers_the_loss_of_its_own_batch(run, checkpoints, batches, input_ids, tmp_path):
    got = measured(run, checkpoints[4], batches, input_ids, tmp_path)
    assert (got["mean_train"] < 0).all()
    assert (got["cos_train"] < 0).all()


def test_reloaded_batches_do_not_depend_on_one_another(
    run, checkpoints, batches, input_ids, tmp_path
):
    got = measured(run, checkpoints[4], batches, input_ids, tmp_path)
    turned = measured(run, checkpoints[4], batches.flip(0), input_ids, tmp_path)
    for name in ("delta_loss_train", "delta_loss_eval", "update_norm", "cos_eval"):
        np.testing.assert_array_equal(got[name], turned[name][::-1])


def test_cumulative_weights_go_on_in_bfloat16(run, checkpoints, batches, input_ids, tmp_path):
    got = measured(run, checkpoints[4], batches, input_ids, tmp_path, variant="cumulative")
    # By hand: bfloat16 weights that go on, the optimizer of the checkpoint every time, no clipping.
    free = run.model_copy(update={"optimizer": run.optimizer.model_copy(update={"clip": 1e9})})
    step = NextStep(free, load_model(checkpoints[4]).eval().bfloat16(), CPU)
    step.load(checkpoints[4])
    start = evaluate(step.model, input_ids, 99)
    for i, batch in enumerate(batches):
        weights = {n: p.detach().clone() for n, p in step.model.named_parameters()}
        step = NextStep(free, load_model(checkpoints[4]).eval().bfloat16(), CPU)
        step.load(checkpoints[4])
        step.model.load_state_dict(weights)
        assert all(p.dtype == torch.bfloat16 for p in step.model.parameters())
        step.step(4, batch)
        delta = evaluate(step.model, input_ids, 99).astype(np.float64) - start
        np.testing.assert_allclose(got["delta_loss_eval"][i], delta, atol=0.02)
        assert np.abs(delta - got["delta_loss_eval"][i]).mean() < 0.1 * np.abs(delta).mean()


def test_the_rate_is_that_of_the_next_step(run, checkpoints, tokens):
    """In the warm-up the same gradient makes a larger step one step later."""
    batch = batch_of(tokens, run, 9)
    step = loaded(run, checkpoints[0])
    norms = []
    for t in (0, 1, 2):
        step.load(checkpoints[0])
        norms.append(norm(step.step(t, batch).update))
    rates = [0.1 + 0.9 * min(s, 3) / 3 for s in (1, 2, 3)]
    assert norms[1] / norms[0] == pytest.approx(rates[1] / rates[0], rel=1e-3)
    assert norms[2] / norms[0] == pytest.approx(rates[2] / rates[0], rel=1e-3)


def test_gradients_add_up_over_micro_batches(run, checkpoints, input_ids):
    model = load_model(checkpoints[4]).eval()
    whole = single_step.mean_gradient(model, input_ids, 7)
    token_losses(model(input_ids).logits, input_ids).mean().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(whole[name], parameter.grad)
    model.zero_grad()
    parts = single_step.mean_gradient(model, input_ids, 2)
    for name, tensor in whole.items():
        torch.testing.assert_close(parts[name], tensor, rtol=1e-5, atol=1e-7)
    model.load(checkpoints[4])
