"""Models of transformers against brute force in float64: a backward pass for each token."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hf_models import CLOSELY, in_float64, make
from torch import nn
from transformers.pytorch_utils import Conv1D

from zsl.errors import MeasurementError
from zsl.measurements import gradient_opposition
from zsl.measurements.first_order import first_order
from zsl.measurements.token_losses import evaluate
from zsl.models.base import every_token
from zsl.models.hf.adapter import Causal
from zsl.training.step import token_losses

PIECES = [(1, 1), (3, 500), (16, 2**20)]
"""Tokens taken together and bytes of a tile: from one row of one token to everything at once."""
KNOWN = (*CLOSELY, "Llama, tied")


@pytest.fixture
def input_ids():
    """Three sequences of 12; the first repeats tokens, as input and as input and target."""
    ids = torch.randint(20, (3, 12), generator=torch.Generator().manual_seed(0))
    ids[0, 4:8] = 3
    ids[0, 10] = ids[0, 1]
    return ids


@pytest.fixture
def wide(monkeypatch):
    """A function that makes a model by its name, in float64 throughout."""

    def model(name):
        return Causal(in_float64(make(name), monkeypatch.setattr))

    return model


def losses(model, input_ids):
    """As transformers' model makes them."""
    return token_losses(model._whole(input_ids).logits, input_ids)


def distance(ours, truth):
    """||ours - truth||_1 / ||truth||_1 of the worst weight."""
    assert ours.keys() == truth.keys()
    return max(
        float((ours[name] - value).abs().sum() / value.abs().sum().clamp(min=1e-12))
        for name, value in truth.items()
    )


def absolute(each):
    return {name: gradient.abs().sum(0) for name, gradient in each.items()}


@pytest.mark.parametrize("name", [*KNOWN, "Gemma 2", "Phi"])
def test_losses_are_those_of_transformers(wide, input_ids, name):
    narrow = Causal(make(name))
    found = evaluate(narrow, input_ids, 2)
    with torch.no_grad():
        np.testing.assert_allclose(found, losses(narrow, input_ids), rtol=1e-6, atol=1e-6)
        model = wide(name)
        ours = token_losses(model.logits(model.hidden(input_ids)), input_ids)
        torch.testing.assert_close(ours, losses(model, input_ids), rtol=1e-12, atol=0)
        assert ours.dtype == torch.float64
        np.testing.assert_allclose(found, ours, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", KNOWN)
def test_first_order_changes(wide, input_ids, gradients_by_token, random_update, name):
    """Those of autograd, and of a difference of the losses of order six."""
    model = wide(name)
    update = random_update(model)
    found = first_order(model, input_ids, update, 2).flatten()
    each = gradients_by_token(model, input_ids, losses)
    changes = sum((update[name] * g).flatten(1).sum(1) for name, g in each.items())
    torch.testing.assert_close(found, changes, rtol=1e-10, atol=1e-12)
    weights = {name: weight.clone() for name, weight in model.named_parameters()}

    def moved(by):
        with torch.no_grad():
            for name, weight in model.named_parameters():
                weight.copy_(weights[name] + by * update[name])
            return losses(model, input_ids).flatten()

    h = 0.005
    d1, d2, d3 = ((moved(n * h) - moved(-n * h)) / (2 * n * h) for n in (1, 2, 3))
    slope = 1.5 * d1 - 0.6 * d2 + 0.1 * d3
    torch.testing.assert_close(found, slope, rtol=1e-10, atol=1e-10)


def by_position(model, input_ids, monkeypatch):
    """Each position's share of the gradient of each use of a weight, (uses, sequences, positions,
    *shape): every position reads a copy of the weight of its own."""
    copies = {name: [] for name, _ in model.named_parameters()}
    names = {module: name for name, module in model.named_modules()}
    shape = input_ids.shape

    def copy(name):
        name = name if name in copies else model.embedding  # a tied unembedding
        weight = model.get_parameter(name).detach()
        copies[name].append(weight.expand(*shape, *weight.shape).clone().requires_grad_())
        return copies[name][-1]

    def own(module, kind):
        there = getattr(module, kind, None) is not None
        return copy(f"{names[module]}.{kind}") if there else 0

    def linear(module, x):
        return torch.einsum("bpoi,bpi->bpo", own(module, "weight"), x) + own(module, "bias")

    def conv1d(module, x):
        return torch.einsum("bpio,bpi->bpo", own(module, "weight"), x) + own(module, "bias")

    def layer_norm(module, x):
        return own(module, "weight") * F.layer_norm(x, x.shape[-1:], eps=module.eps) + own(
            module, "bias"
        )

    def rms_norm(module, x):
        z = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + module.variance_epsilon)
        return own(module, "weight") * z

    def embedding(module, ids):
        rows = F.one_hot(ids, module.num_embeddings).double().expand(*shape, -1)
        return torch.einsum("bpvd,bpv->bpd", own(module, "weight"), rows)

    forwards = {
        nn.Linear: linear,
        Conv1D: conv1d,
        nn.LayerNorm: layer_norm,
        nn.Embedding: embedding,
        **{type(m): rms_norm for m in model.modules() if type(m).__name__.endswith("RMSNorm")},
    }
    with monkeypatch.context() as patch:
        for kind, forward in forwards.items():
            patch.setattr(kind, "forward", forward)
        losses(model, input_ids).sum().backward()
    return {name: torch.stack([c.grad for c in each]) for name, each in copies.items()}


@pytest.mark.parametrize("name", KNOWN)
def test_the_proxy(wide, input_ids, monkeypatch, name):
    model = wide(name)
    shares = by_position(model, input_ids, monkeypatch)
    measured = gradient_opposition.opposition(model, input_ids, 2)
    assert measured.keys() == shares.keys()
    for weight, share in shares.items():
        sums = measured[weight]
        bound = {"rtol": 1e-10, "atol": 1e-12}
        torch.testing.assert_close(sums.total, share.sum((0, 1, 2)), **bound)
        torch.testing.assert_close(sums.absolute, share.abs().sum((0, 1, 2)), **bound)
        D = 1 - sums.total.abs() / sums.absolute
        np.testing.assert_allclose(sums.D(), D[sums.absolute > 0], rtol=1e-10)
    apart = {name for name, sums in measured.items() if sums.vocabulary}
    assert apart == {n for n in shares if n in (model.embedding, model.output) or "wpe" in n}


@pytest.mark.parametrize(("chunk", "tile_bytes"), PIECES)
@pytest.mark.parametrize("name", KNOWN)
def test_exact_sums(wide, input_ids, gradients_by_token, random_update, name, chunk, tile_bytes):
    model = wide(name)
    each, gradients = gradients_by_token(model, input_ids, losses), model.exact_gradients()
    pieces = {"chunk": chunk, "tile_bytes": tile_bytes}
    sums = gradients.absolute_sums(input_ids, **pieces)
    assert distance(sums, absolute(each)) <= 1e-10
    update = random_update(model)
    truth = sum((update[name] * g).abs().flatten(1).sum(1) for name, g in each.items())
    chosen = np.random.default_rng(0).permutation(33)[:13]
    s, shares = gradients.token_sums(input_ids, every_token(input_ids)[chosen], update, **pieces)
    torch.testing.assert_close(s, truth[torch.from_numpy(chosen)], rtol=1e-10, atol=0)
    assert shares.shape[0] == 33 and (shares.sum(1) <= truth * (1 + 1e-10)).all()


@pytest.mark.parametrize("name", ["GPT-2", "Llama, tied"])
def test_untied_uses_are_two_matrices(wide, input_ids, gradients_by_token, name):
    model = wide(name)
    pieces = {"chunk": 4, "tile_bytes": 1000}
    found = model.exact_gradients().absolute_sums(input_ids, **pieces, untied=True)
    table = model.table.detach().clone().requires_grad_()

    def of_inputs(model, ids):
        hidden = model.hidden(ids, F.embedding(ids, table))
        return token_losses(model.logits(hidden), ids)

    of_outputs = gradients_by_token(model, input_ids, of_inputs)
    each = [
        torch.autograd.grad(loss, table, retain_graph=True)[0]
        for loss in of_inputs(model, input_ids).flatten()
    ]
    truth = {
        **absolute(of_outputs),
        model.output: of_outputs[model.embedding].abs().sum(0),
        model.embedding: torch.stack(each).abs().sum(0),
    }
    assert distance(found, truth) <= 1e-10


@pytest.mark.parametrize("name", ["Phi", "Qwen 3", "OLMo"])
def test_exact_sums_of_a_bias_of_the_logits_and_of_norms_of_heads(
    wide, input_ids, gradients_by_token, name
):
    model = wide(name)
    sums = model.exact_gradients().absolute_sums(input_ids, chunk=4, tile_bytes=1000)
    assert distance(sums, absolute(gradients_by_token(model, input_ids, losses))) <= 1e-10


def norms(model):
    return {name: w for name, w in model.weights().items() if w.kind == "norm"}


@pytest.mark.parametrize(("name", "neutral"), [("GPT-2", 1), ("OLMo 2", 1), ("Gemma", 0)])
def test_norms_are_known_by_what_they_compute(name, neutral):
    found = norms(Causal(make(name)))
    assert found and all(weight.neutral == neutral for weight in found.values())


def test_a_gain_is_no_norm():
    class Gain(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(8))

        def forward(self, x):
            return self.weight * x

    class Bent(Gain):
        def forward(self, x):
            return self.weight.square() * F.rms_norm(x, x.shape[-1:])

    for kind in (Gain, Bent):
        whole = make("Llama")
        whole.model.norm = kind()
        model = Causal(whole)
        assert model.weights()["model.norm.weight"].kind == "other"
        ids = torch.zeros(1, 4, dtype=torch.int64)
        with pytest.raises(MeasurementError, match=r"gradient opposition of model\.norm\.weight"):
            gradient_opposition.opposition(model, ids, 1)
        with pytest.raises(
            MeasurementError, match=rf"of model\.norm\.weight are not implemented: {kind.__name__}"
        ):
            model.exact_gradients()


def test_the_weight_of_a_norm_of_one_plus_w(wide, input_ids):
    """Of Gemma, whose embedding is none that is known: its norms in a Llama."""
    whole, gemma = make("Llama"), make("Gemma")
    for layer, other in zip(whole.model.layers, gemma.model.layers, strict=True):
        layer.input_layernorm = other.input_layernorm
    model = Causal(whole)
    assert {weight.neutral for weight in norms(model).values()} == {0.0, 1.0}
    sums = gradient_opposition.opposition(model, input_ids, 2)
    kept = {}

    def keep(module, inputs, output):
        (x,) = inputs
        z = F.rms_norm(x, x.shape[-1:], eps=module.eps).detach()
        output.register_hook(lambda dy: kept.update(share=dy * z))

    whole.model.layers[1].input_layernorm.register_forward_hook(keep)
    losses(model, input_ids).sum().backward()
    measured = sums["model.layers.1.input_layernorm.weight"]
    torch.testing.assert_close(measured.absolute, kept["share"].abs().sum((0, 1)))
    torch.testing.assert_close(measured.total, kept["share"].sum((0, 1)))


NOT_KNOWN = {
    "Mixtral": "MixtralTopKRouter is no linear layer",
    "Gemma": "embed_tokens.weight are not implemented: GemmaTextScaledWordEmbedding",
}


@pytest.mark.parametrize("name", NOT_KNOWN)
def test_a_layer_that_is_not_known_is_named(input_ids, name):
    model = Causal(make(name))
    with pytest.raises(MeasurementError, match=NOT_KNOWN[name]):
        model.exact_gradients()
    with pytest.raises(MeasurementError, match="gradient opposition of model"):
        gradient_opposition.opposition(model, input_ids, 2)


@pytest.mark.parametrize(
    ("name", "what"), [("Gemma 2", "the logits of Gemma2ForCausalLM"), ("Phi", "lm_head.bias")]
)
def test_logits_that_are_more_than_a_product_are_named(input_ids, random_update, name, what):
    model = Causal(make(name))
    with pytest.raises(MeasurementError, match=f"first-order changes of a model with {what}"):
        first_order(model, input_ids, random_update(model), 2)


def test_the_row_of_a_padding_token_has_a_gradient(wide, input_ids):
    """Which torch leaves out where an embedding knows of one."""
    model = wide("Llama")
    assert make("Llama").model.embed_tokens.padding_idx == 3
    total = gradient_opposition.opposition(model, input_ids, 3)["model.embed_tokens.weight"]
    assert (input_ids == 3).any() and total.total[3].abs().sum() > 0
