"""What interventions leave alone: neutral settings, cuts and orders of the batch, interruptions."""

import shutil

import numpy as np
import pytest
import torch

from zsl.errors import TrainingError
from zsl.interventions.agreement import FLOOR
from zsl.measurements.next_step import NextStep
from zsl.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from zsl.training.parallel import Processes
from zsl.training.trainer import make_trainer

NAMES = ["agreement", "placebo", "micro_batch_agreement", "token_weights", "projection"]
NEUTRAL = [
    ("agreement", {"gamma": 0}),
    ("agreement", {"gamma": 0, "every": 2}),
    ("placebo", {"gamma": 0}),
    ("token_weights", {"clip": float("inf"), "focal": 0, "top": 1}),
    ("token_weights", {"clip": 1.5, "focal": 0, "top": 1}),
]


def equal(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize("model", ["swiglu", "gpt2"])
@pytest.mark.parametrize(("name", "settings"), NEUTRAL)
def test_neutral_settings_are_the_plain_step_to_the_last_bit(
    intervened, train, name, settings, model
):
    made = train(intervened(name, model, **settings), dtype=torch.float32)
    plain = train(intervened(None, model), dtype=torch.float32)
    for _ in range(3):
        results = made.step(), plain.step()
        assert torch.equal(results[0].loss, results[1].loss)
        assert torch.equal(results[0].grad_norm, results[1].grad_norm)
    assert equal(made.weights(), plain.weights())


def test_micro_batches_that_need_not_agree_are_those_of_a_plain_step(intervened, train):
    made = train(intervened("micro_batch_agreement", threshold=0), dtype=torch.float32)
    plain = train(intervened(None, precision={"micro_batch_size": 2}), dtype=torch.float32)
    for _ in range(3):
        made.step(), plain.step()
    assert equal(made.weights(), plain.weights())


@pytest.mark.parametrize("name", NAMES)
def test_how_many_sequences_are_read_at_once_changes_nothing(intervened, train, name):
    whole = train(intervened(name)).gradient()
    for size in (1, 2):
        cut = train(intervened(name, precision={"micro_batch_size": size})).gradient()
        for n in whole:
            np.testing.assert_allclose(cut[n], whole[n], rtol=1e-9, atol=1e-13, err_msg=n)


@pytest.mark.parametrize("name", ["agreement", "placebo", "token_weights", "projection"])
def test_the_order_within_the_batch_changes_nothing(intervened, train, name):
    trained = train(intervened(name))
    ids = trained.batch()
    whole, other = trained.gradient(ids), trained.gradient(ids[[2, 0, 3, 1]])
    for n in whole:
        np.testing.assert_allclose(other[n], whole[n], rtol=1e-9, atol=1e-13, err_msg=n)


def test_the_parts_of_micro_batch_agreement_are_those_of_the_order(intervened, train):
    """Order is not promised there, and must be seen."""
    trained = train(intervened("micro_batch_agreement"))
    ids = trained.batch()
    whole, other = trained.gradient(ids), trained.gradient(ids[[2, 0, 3, 1]])
    assert any(abs(whole[n] - other[n]).max() > 1e-6 for n in whole)


@pytest.mark.parametrize("gamma", [-0.5, 0.5, 1])
def test_the_placebo_has_the_norm_and_the_factors_of_agreement(intervened, train, gamma):
    trained = train(intervened("agreement", gamma=gamma))
    plain, made = trained.plain(), trained.gradient()
    placebo = train(intervened("placebo", gamma=gamma)).gradient()

    def norm(gradient):
        return sum((g**2).sum() for g in gradient.values()) ** 0.5

    assert norm(made) == pytest.approx(norm(plain), rel=1e-12)
    assert norm(placebo) == pytest.approx(norm(plain), rel=1e-12)
    least, moved = FLOOR ** abs(gamma), 0
    scale = None
    for n in plain:
        touched = plain[n] != 0
        if not touched.all():
            continue
        ours, theirs = (np.sort((g[n] / plain[n]).ravel()) for g in (made, placebo))
        # Each is scaled to the norm of the gradient by a number of its own.
        scale = scale or ours[0] / theirs[0]
        np.testing.assert_allclose(ours / theirs, scale, rtol=1e-9, err_msg=n)
        moved += int((made[n] / plain[n] / (placebo[n] / plain[n]) / scale != 1).sum())
        assert ours[-1] / ours[0] > 1 + least
    assert moved > 100


def test_each_step_draws_its_own_places(intervened, train):
    from zsl.interventions.placebo import permuted

    factors = {"a": torch.arange(50.0), "b": torch.arange(50.0).view(5, 10)}
    first, again, later, other = (
        permuted(factors, *given) for given in ((0, 1), (0, 1), (0, 2), (1, 1))
    )
    for n, values in factors.items():
        assert torch.equal(first[n], again[n]) and first[n].shape == values.shape
        assert not torch.equal(first[n], later[n]) and not torch.equal(first[n], other[n])
        assert torch.equal(first[n].flatten().sort().values, values.flatten())
    assert not torch.equal(first["a"], first["b"].flatten())


RESUMED = [
    ("adamw", name, settings)
    for name, settings in [*((name, {}) for name in NAMES), ("agreement", {"every": 4})]
]
RESUMED += [("adamw", "placebo", {"every": 4}), ("muon", "agreement", {"every": 4})]


@pytest.mark.parametrize(("optimizer", "name", "settings"), RESUMED)
@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_resumed_run_is_the_run_itself(
    intervened, make_run, train, tmp_path, optimizer, name, settings, stop
):
    """Also between two measurements of C, whose factors are part of the checkpoint."""
    asked = intervened(name, **settings).model_dump(mode="json")
    run = make_run(**{**asked, "optimizer": {"name": optimizer, "learning_rate": 1e-2}})
    whole, first, second = (train(run, dtype=torch.float32) for _ in range(3))
    for _ in range(6):
        whole.step()
    for _ in range(stop):
        first.step()
    state = TrainingState(stop, 4 * stop, 48 * stop)
    save_checkpoint(tmp_path / "a", first.model, first.optimizer, state)
    second.t = load_checkpoint(tmp_path / "a", second.model, second.optimizer).step
    while second.t < 6:
        second.step()
    assert equal(whole.weights(), second.weights())
    for trained, folder in ((whole, "whole"), (second, "second")):
        state = TrainingState(6, 24, 288)
        save_checkpoint(tmp_path / folder, trained.model, trained.optimizer, state)
    for file in ("model.safetensors", "optim.safetensors"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


@pytest.mark.parametrize(
    ("name", "settings"), [*((n, {}) for n in NAMES), ("agreement", {"every": 3})]
)
def test_the_measured_step_is_the_runs_next_one(intervened, train, tmp_path, name, settings):
    run = intervened(name, **settings)
    trained = train(run, dtype=torch.float32)
    trained.step()
    save_checkpoint(tmp_path / "a", trained.model, trained.optimizer, TrainingState(1, 4, 48))
    batch, before = trained.batch(), trained.weights()
    trained.step(1e-2 * (0.1 + 0.9 * 2 / 3))  # step 2 of 3 of the warm-up
    after = trained.weights()
    model = train(run, dtype=torch.float32).model
    measured = NextStep(run, model, torch.device("cpu")).update(tmp_path / "a", batch)
    for n in after:
        np.testing.assert_allclose(measured[n].numpy(), after[n] - before[n], rtol=0, atol=1e-7)


def test_a_step_that_ran_out_of_memory_is_made_anew(intervened, tokenizer, tokens, one_process):
    """Gradients of the failed attempt are there already, and hooks that added to sums."""
    from zsl.training import step

    for name in NAMES:
        run = intervened(name)
        trainer, other = (make_trainer(run, tokenizer, tokens, 6198, one_process) for _ in range(2))
        other.micro_batch.size = 2
        called, forward = [], step.wide_logits

        def failing(module, ids, run, forward=forward, called=called):
            called.append(len(ids))
            if len(called) == 1 or len(ids) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
            return forward(module, ids, run)

        with pytest.MonkeyPatch.context() as patched:
            for module in ("zsl.training.step", "zsl.interventions.projection"):
                patched.setattr(f"{module}.wide_logits", failing)
            trainer.step()
        other.step()
        assert called[0] == (2 if name == "micro_batch_agreement" else 4)
        size = trainer.micro_batch.size
        assert size == 2, name
        for a, b in zip(trainer.model.parameters(), other.model.parameters(), strict=True):
            assert torch.equal(a, b), name


def test_one_process_where_the_rule_wants_one(intervened, tokenizer, tokens):
    two = Processes(0, 2, torch.device("cpu"))
    for name in set(NAMES) - {"token_weights"}:
        with pytest.raises(TrainingError, match=f"'{name}': works in one process only, and 2"):
            make_trainer(intervened(name), tokenizer, tokens, 0, two)


@pytest.mark.parametrize("name", ["micro_batch_agreement", "token_weights", "projection"])
def test_bfloat16_is_close_to_float32_where_it_works(intervened, train, name):
    run = intervened(name, precision={"compute": "bfloat16", "weights": "bfloat16"})
    made, exact = train(run, dtype=torch.float32), train(intervened(name), dtype=torch.float32)
    made, exact = made.gradient(), exact.gradient()
    of_all = [np.concatenate([g.ravel() for g in found.values()]) for found in (made, exact)]
    cosine = of_all[0] @ of_all[1] / np.linalg.norm(of_all[0]) / np.linalg.norm(of_all[1])
    assert all(g.dtype == np.float32 for g in made.values())
    assert cosine > (0.9 if name == "micro_batch_agreement" else 0.99)


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("name", ["micro_batch_agreement", "token_weights"])
def test_compiled_models_make_the_steps_of_eager_ones(intervened, train, name):
    compiled = train(intervened(name, precision={"compile": True}), dtype=torch.float32)
    made, eager = compiled.gradient(), train(intervened(name), dtype=torch.float32).gradient()
    for n in made:
        np.testing.assert_allclose(made[n], eager[n], rtol=1e-3, atol=1e-6, err_msg=n)
