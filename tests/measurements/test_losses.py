"""Logits in parts: the same losses and gradients, and never more of them at once than the bound."""

import numpy as np
import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from zsl.config.sources import TrainedTokenizer
from zsl.measurements import downstream, losses
from zsl.measurements.first_order import first_order
from zsl.measurements.gradient_opposition import opposition
from zsl.measurements.single_step import mean_gradient
from zsl.measurements.token_gradients import total_gradient
from zsl.measurements.token_losses import evaluate
from zsl.models.olmo.build import build_model
from zsl.training.step import token_losses

MODELS = {
    "tied": {},
    "untied": {"weight_tying": False},
    "GPT-2": {"rope": False, "mlp_ratio": 4, "activation": "gelu"},
}
ROWS = 2000


@pytest.fixture(params=MODELS)
def model(request, make_run):
    architecture = {"d_model": 8, "n_layers": 2, "n_heads": 2, **MODELS[request.param]}
    tokenizer = TrainedTokenizer(kind="bpe", vocab_size=ROWS, embedding_size=ROWS)
    return build_model(make_run(model=architecture), tokenizer).eval()


@pytest.fixture
def input_ids():
    return torch.randint(ROWS, (10, 12), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def in_parts(monkeypatch):
    """A function after which logits of so many positions are made at once."""

    def bound(positions, width=4):
        monkeypatch.setattr(losses, "LOGIT_BYTES", positions * ROWS * width)

    return bound


def with_gradients(model, found):
    (found * torch.linspace(1, 2, found.numel()).view_as(found)).sum().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    return {"losses": found.detach(), **gradients}


@pytest.mark.parametrize("scaled", [False, True])
def test_losses_and_gradients_are_those_of_all_logits(
    model, input_ids, in_parts, in_float64, scaled
):
    model.config.scale_logits = scaled
    in_float64(model)
    truth = with_gradients(model, token_losses(model(input_ids).logits, input_ids))
    for positions in (7, 119, 120):
        in_parts(positions, width=8)
        got = with_gradients(model, losses.losses_of(model, input_ids))
        for name, value in truth.items():
            torch.testing.assert_close(got[name], value, rtol=0, atol=1e-12, msg=name)


def test_losses_are_exact_to_rounding_in_float32_and_the_same_when_they_fit(
    model, input_ids, in_parts
):
    with torch.no_grad():
        truth = token_losses(model(input_ids).logits, input_ids)
    assert torch.equal(torch.from_numpy(evaluate(model, input_ids, 10)), truth)
    in_parts(7)
    np.testing.assert_allclose(evaluate(model, input_ids, 10), truth, rtol=0, atol=2e-6)


@pytest.mark.parametrize("scaled", [False, True])
def test_the_proxy_is_that_of_all_logits(model, input_ids, in_parts, in_float64, scaled):
    in_float64(model)
    model.config.scale_logits = scaled
    truth = opposition(model, input_ids, 10)
    in_parts(7, width=8)
    for name, sums in opposition(model, input_ids, 10).items():
        torch.testing.assert_close(sums.total, truth[name].total, rtol=0, atol=1e-12)
        torch.testing.assert_close(sums.absolute, truth[name].absolute, rtol=0, atol=1e-12)


class Held(TorchDispatchMode):
    """Bytes of the largest tensor that was made, and of all that were held at once."""

    def __init__(self):
        super().__init__()
        self.largest = self.most = 0
        self.alive = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.nbytes)
                storage = tensor.untyped_storage()
                self.alive[StorageWeakRef(storage)] = storage.nbytes()
        self.alive = {ref: size for ref, size in self.alive.items() if not ref.expired()}
        self.most = max(self.most, sum(self.alive.values()))
        return out


PARTS = [downstream.Part(choice, (*range(9, 9 + 12),), 1 + choice) for choice in range(10)]
MEASURED = {
    "losses": lambda model, ids, update: evaluate(model, ids, 40),
    "proxy": lambda model, ids, update: opposition(model, ids, 40),
    "gradient": lambda model, ids, update: mean_gradient(model, ids, 40),
    "total": lambda model, ids, update: total_gradient(model, ids, 40, untied=False),
    "first order": lambda model, ids, update: first_order(model, ids, update, 40),
    "choices": lambda model, ids, update: downstream.log_likelihoods(model, PARTS, 10),
}


@pytest.mark.parametrize("name", MEASURED)
def test_logits_of_all_positions_are_never_held(model, in_parts, random_update, name):
    in_parts(16)
    input_ids = torch.randint(ROWS, (40, 12), generator=torch.Generator().manual_seed(0))
    update = random_update(model)
    with Held() as held:
        MEASURED[name](model, input_ids, update)
    assert 0 < held.largest <= 16 * ROWS * 4
    assert held.most < input_ids.numel() * ROWS * 4 / 3


def test_choices_are_judged_as_with_all_logits(model, in_parts):
    truth = downstream.log_likelihoods(model, PARTS, 10)
    in_parts(7)
    np.testing.assert_allclose(downstream.log_likelihoods(model, PARTS, 10), truth, atol=1e-5)
    with torch.no_grad():
        by_hand = model(torch.tensor(PARTS[0].tokens[:-1])[None]).logits[0, -1].log_softmax(-1)
    assert truth[0] == pytest.approx(float(by_hand[PARTS[0].tokens[-1]]), abs=1e-5)


def test_hooks_are_left_as_they_were(model, input_ids):
    before = model(input_ids).logits
    losses.losses_of(model, input_ids)
    assert torch.equal(model(input_ids).logits, before)
