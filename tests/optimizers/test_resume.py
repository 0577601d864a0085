"""A resumed run is the run itself, whatever the optimizer keeps; and what configurations say."""

import subprocess
import sys

import pytest
import torch

from zsl.config.schema import Run
from zsl.measurements.next_step import NextStep
from zsl.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint

NAMES = ["adamw", "c_adamw", "ademamix", "muon"]


@pytest.mark.parametrize("name", NAMES)
def test_three_steps_and_three_more_after_loading_are_six(optimizer_run, train, tmp_path, name):
    settings = {"t_alpha_beta3": 5} if name == "ademamix" else {}
    run = optimizer_run(name, **settings)
    whole, first, second = train(run), train(run), train(run)
    for _ in range(6):
        whole.step()
    for _ in range(3):
        first.step()
    save_checkpoint(tmp_path / "a", first.model, first.optimizer, TrainingState(3, 12, 144))
    second.t = load_checkpoint(tmp_path / "a", second.model, second.optimizer).step
    for _ in range(3):
        second.step()
    for (key, expected), made in zip(
        whole.model.state_dict().items(), second.model.state_dict().values(), strict=True
    ):
        assert torch.equal(expected, made), key
    for trained, folder in ((whole, "whole"), (second, "second")):
        state = TrainingState(6, 24, 288)
        save_checkpoint(tmp_path / folder, trained.model, trained.optimizer, state)
    for file in ("model.safetensors", "optim.safetensors"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_the_measured_step_is_the_runs_next_one(optimizer_run, train, tmp_path, name):
    run = optimizer_run(name)
    trained = train(run)
    trained.step()
    save_checkpoint(tmp_path / "a", trained.model, trained.optimizer, TrainingState(1, 4, 48))
    batch = trained._batch()
    before = trained.weights()
    rate = 1e-2 * (0.1 + 0.9 * 2 / 3)  # step 2 of 3 of the warm-up
    trained.step(rate)
    measured = NextStep(run, train(run).model, torch.device("cpu")).update(tmp_path / "a", batch)
    for key, after in trained.weights().items():
        change = torch.from_numpy(after - before[key])
        torch.testing.assert_close(measured[key].double(), change, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_settings_survive_as_plain_values(optimizer_run, name):
    run = optimizer_run(name, clip=float("inf"))
    again = Run.model_validate(run.model_dump(mode="json"))
    assert again == run and again.optimizer.name == name


def test_configurations_are_read_without_torch():
    code = "import sys, zsl.config.load; print('torch' in sys.modules or 'olmo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_losses_of_a_gpt2_do_not_see_the_future(optimizer_run, train):
    from zsl.measurements.token_losses import evaluate

    model = train(optimizer_run("adamw", "gpt2")).model.eval()
    ids = torch.arange(24).reshape(2, 12) % 20
    losses = evaluate(model, ids, 1)
    changed = ids.clone()
    changed[:, 8:] = 3
    again = evaluate(model, changed, 1)
    assert losses.shape == (2, 11) and (abs(losses - again)[:, 7:] > 1e-6).all()
    assert abs(losses - again)[:, :7].max() < 1e-6
    moved = ids.roll(1, dims=1)  # learned positions: the same tokens elsewhere differ
    assert abs(evaluate(model, moved, 1)[:, 2:] - losses[:, 1:-1]).max() > 1e-4


def test_a_run_of_draws_is_trained_and_its_next_batches_are_later_draws(
    make_run, tokenizer, tokens, one_process
):
    import numpy as np

    from zsl.measurements.next_step import unseen_batches
    from zsl.training.order import batch_indices, run_order
    from zsl.training.trainer import make_trainer

    run = make_run(sampling="offsets", steps=40)  # 160 sequences of 64
    read = []

    class Recorded:
        def __len__(self):
            return len(tokens)

        def batch(self, indices):
            read.append(indices)
            return tokens.batch(indices)

    trainer = make_trainer(run, tokenizer, Recorded(), 5, one_process)
    for _ in range(3):
        trainer.step()
    order = run_order(run, len(tokens), 5)
    assert np.array_equal(np.stack(read), [batch_indices(order, s, 4) for s in (1, 2, 3)])
    unseen = unseen_batches(order, run, 5)
    assert np.array_equal(unseen, [batch_indices(order, s, 4) for s in range(41, 46)])
