import shutil

import numpy as np
import pytest
import torch

from zsl.models.olmo.build import build_model
from zsl.training.model import make_optimizer
from zsl.training.step import loss_denominator, token_losses, train_step, wrap


def float64_step(run, tokenizer, input_ids, one_process, *, rate=1e-2):
    """Model after one step in float64, and the step's result."""
    model = build_model(run, tokenizer).double()
    optimizer = make_optimizer(run, model)
    module = wrap(model, run, one_process)
    result = train_step(module, optimizer, input_ids, run, one_process, learning_rate=rate)
    return model, result


def brute_force_loss(model, input_ids):
    """Sum of the losses of all predictions, one token at a time, with a written-out softmax."""
    total = torch.zeros((), dtype=torch.float64)
    for sequence in input_ids:
        logits = model(sequence[None]).logits[0]
        for position in range(len(sequence) - 1):
            row = logits[position]
            total = total + torch.log(torch.exp(row - row.max()).sum()) + row.max()
            total = total - row[sequence[position + 1]]
    return total


@pytest.mark.parametrize("loss", ["mean", "olmo"])
def test_adamw_step_equals_its_formula(make_run, tokenizer, tokens, one_process, loss):
    """Clipping and AdamW written out in float64 over a brute-force gradient (A.1)."""
    run = make_run(loss=loss, optimizer={"learning_rate": 1e-2, "clip": 0.01})
    input_ids = torch.from_numpy(tokens.batch(np.arange(4)))
    reference = build_model(run, tokenizer).double()
    denominator = 4 * 12 if loss == "olmo" else 4 * 11
    value = brute_force_loss(reference, input_ids) / denominator
    value.backward()
    names = [name for name, _ in reference.named_parameters()]
    norm = torch.sqrt(sum((p.grad**2).sum() for p in reference.parameters()))
    clip = min(1.0, 0.01 / (norm + 1e-6).item())
    assert clip < 1, "the test must clip"

    model, result = float64_step(run, tokenizer, input_ids, one_process)

    assert float(result.loss) == pytest.approx(value.item(), rel=1e-12)
    assert float(result.grad_norm) == pytest.approx(norm.item(), rel=1e-10)
    after = dict(model.named_parameters())
    for name, p in zip(names, reference.parameters(), strict=True):
        gradient = p.grad * clip
        decay = 0.0 if "wte" in name else 0.1
        m, v = 0.1 * gradient, 0.05 * gradient**2
        expected = p.data * (1 - 1e-2 * decay)
        expected = expected - 1e-2 * (m / 0.1) / (torch.sqrt(v / 0.05) + 1e-5)
        torch.testing.assert_close(after[name].data, expected, rtol=1e-9, atol=1e-13)


def test_token_losses_equal_float64_brute_force(make_run, tokenizer, tokens):
    model = build_model(make_run(), tokenizer).double()
    input_ids = torch.from_numpy(tokens.batch(np.arange(3)))
    losses = token_losses(model(input_ids).logits, input_ids)
    assert losses.shape == (3, 11)
    assert losses.sum().item() == pytest.approx(
        brute_force_loss(model, input_ids).item(), rel=1e-12
    )


def test_micro_batches_do_not_change_the_step(make_run, tokenizer, tokens, one_process):
    input_ids = torch.from_numpy(tokens.batch(np.arange(4)))
    whole, _ = float64_step(make_run(), tokenizer, input_ids, one_process)
    for size in (1, 2):
        run = make_run(precision={"micro_batch_size": size})
        cut, _ = float64_step(run, tokenizer, input_ids, one_process)
        for a, b in zip(whole.parameters(), cut.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)


def test_order_within_the_batch_does_not_change_the_step(make_run, tokenizer, tokens, one_process):
    first, _ = float64_step(
        make_run(), tokenizer, torch.from_numpy(tokens.batch(np.array([0, 1, 2, 3]))), one_process
    )
    second, _ = float64_step(
        make_run(), tokenizer, torch.from_numpy(tokens.batch(np.array([3, 1, 0, 2]))), one_process
    )
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)


def test_loss_denominators(make_run):
    assert loss_denominator(make_run(loss="mean")) == 4 * 11
    assert loss_denominator(make_run(loss="olmo")) == 4 * 12


def test_bfloat16_weights_keep_float32_masters(make_run, tokenizer, tokens, one_process):
    run = make_run(precision={"compute": "bfloat16", "weights": "bfloat16"})
    model = build_model(run, tokenizer)
    seen = []
    model.transformer.blocks[1].register_forward_pre_hook(lambda _, x: seen.append(x[0].dtype))
    optimizer = make_optimizer(run, model)
    input_ids = torch.from_numpy(tokens.batch(np.arange(4)))
    result = train_step(
        wrap(model, run, one_process), optimizer, input_ids, run, one_process, learning_rate=1e-2
    )
    assert seen == [torch.bfloat16], "the residual stream is bfloat16"
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert all(s["exp_avg"].dtype == torch.float32 for s in optimizer.state.values())
    exact, truth = float64_step(make_run(), tokenizer, input_ids, one_process)
    assert float(result.loss) == pytest.approx(float(truth.loss), rel=1e-2)
    del exact


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_model_makes_the_steps_of_an_eager_one(make_run, tokenizer, tokens, one_process):
    """With bfloat16 copies of the weights, as the paper's configuration asks."""
    losses = {}
    for compiled in (False, True):
        precision = {"compute": "bfloat16", "weights": "bfloat16", "compile": compiled}
        run = make_run(precision=precision)
        model = build_model(run, tokenizer)
        names = list(model.state_dict())
        optimizer, module = make_optimizer(run, model), wrap(model, run, one_process)
        input_ids = torch.from_numpy(tokens.batch(np.arange(4)))
        losses[compiled] = [
            train_step(module, optimizer, input_ids, run, one_process, learning_rate=1e-2).loss
            for _ in range(4)
        ]
        assert list(model.state_dict()) == names, "checkpoints do not know of the compilation"
    torch.testing.assert_close(losses[True], losses[False], rtol=2e-3, atol=0)
