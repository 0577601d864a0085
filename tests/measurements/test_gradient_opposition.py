from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from olmo.config import BlockType, LayerNormType
from olmo.model import LayerNorm, RMSLayerNorm
from torch import nn

from zsl.config.grids import checkpoint_name
from zsl.errors import MeasurementError
from zsl.measurements import gradient_opposition
from zsl.measurements.checkpoints import evaluation_tokens, measure_checkpoints, of_weights
from zsl.measurements.gradient_opposition import absolute_gradients
from zsl.memory import MicroBatch
from zsl.models.olmo.adapter import Olmo
from zsl.models.olmo.build import build_model, model_config
from zsl.training.checkpoint import TrainingState, save_checkpoint
from zsl.training.model import make_optimizer
from zsl.training.step import token_losses

MODELS = [
    {"d_model": 8, "n_layers": 2, "n_heads": 2},
    {"d_model": 8, "n_layers": 2, "n_heads": 2, "weight_tying": False},
    {
        "d_model": 8,
        "n_layers": 1,
        "n_heads": 2,
        "rope": False,
        "mlp_ratio": 4,
        "activation": "gelu",
    },
]


@pytest.fixture
def input_ids(tokens):
    return torch.from_numpy(tokens.batch(np.arange(3)))


class ListingLinear(torch.autograd.Function):
    """A linear layer whose backward pass is the one that A.3 prints, written anew."""

    @staticmethod
    def forward(ctx, x, weight, sums):
        ctx.save_for_backward(x, weight)
        ctx.sums = sums
        return x @ weight.T

    @staticmethod
    def backward(ctx, dLdy):
        x, weight = ctx.saved_tensors
        total, absolute = ctx.sums
        for dy, xs in zip(dLdy.flatten(0, -2), x.flatten(0, -2), strict=True):
            contribution = torch.outer(dy, xs)
            total += contribution
            absolute += contribution.abs()
        return dLdy @ weight, torch.einsum("...o,...i->oi", dLdy, x), None


def listing(model, input_ids, monkeypatch):
    """Sum and absolute sum by weight in float64, one outer product per position."""
    weights = {id(p): name for name, p in model.named_parameters()}
    sums = {n: [torch.zeros_like(p), torch.zeros_like(p)] for n, p in model.named_parameters()}

    def linear(x, weight, bias=None):
        assert bias is None
        return ListingLinear.apply(x, weight, sums[weights[id(weight)]])

    def embedding(module, ids):
        ids = ids.expand(len(input_ids), -1)  # positions, once for each sequence
        onehot = F.one_hot(ids, module.num_embeddings).to(module.weight.dtype)
        return ListingLinear.apply(
            onehot, module.weight.T, [s.T for s in sums[weights[id(module.weight)]]]
        )

    with monkeypatch.context() as patch:
        patch.setattr(F, "linear", linear)
        patch.setattr(nn.Embedding, "forward", embedding)
        token_losses(model(input_ids).logits, input_ids).sum().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    return sums, gradients


@pytest.mark.parametrize("architecture", MODELS)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_sums_equal_the_listing_position_by_position(
    make_run, tokenizer, tokens, monkeypatch, architecture, dtype, bound
):
    model = build_model(make_run(model=architecture), tokenizer)
    input_ids = torch.from_numpy(tokens.batch(np.arange(3)))
    sums, gradients = listing(model.double(), input_ids, monkeypatch)
    measured = gradient_opposition.opposition(model.to(dtype), input_ids, 2)
    assert measured.keys() == sums.keys()
    for name, (total, absolute) in sums.items():
        assert float((total - gradients[name]).norm()) <= 1e-12 * float(total.norm())
        for ours, truth in ((measured[name].total, total), (measured[name].absolute, absolute)):
            error = (ours.double() - truth).abs().sum() / truth.abs().sum()
            assert float(error) <= bound, name
        touched = absolute > 0
        D = 1 - total[touched].abs() / absolute[touched]
        assert measured[name].D().shape == D.shape
        np.testing.assert_allclose(measured[name].D().mean(), D.mean().item(), atol=bound)


def by_position(model, input_ids, monkeypatch):
    """Each position's share of the gradient of each use of a weight, (uses, sequences, positions,
    *shape): every position reads a copy of the weight of its own."""
    copies = {name: [] for name, _ in model.named_parameters()}
    names = {id(module): name for name, module in model.named_modules()}

    def copy(name):
        weight = model.get_parameter(name).detach()
        copies[name].append(weight.expand(*input_ids.shape, *weight.shape).clone().requires_grad_())
        return copies[name][-1]

    def own(module, kind):
        return copy(f"{names[id(module)]}.{kind}") if getattr(module, kind) is not None else 0

    def linear(module, x):
        return torch.einsum("bpoi,bpi->bpo", own(module, "weight"), x) + own(module, "bias")

    def norm(module, x):
        rms = module.config.layer_norm_type == LayerNormType.rms
        z = x if rms else x - x.mean(-1, keepdim=True)
        z = z * torch.rsqrt(z.pow(2).mean(-1, keepdim=True) + module.eps)
        return own(module, "weight") * z + own(module, "bias")

    def embedding(module, ids):
        rows = torch.nn.functional.one_hot(ids, module.num_embeddings).double()
        return torch.einsum(
            "bpvd,bpv->bpd", own(module, "weight"), rows.expand(len(input_ids), -1, -1)
        )

    with monkeypatch.context() as patch:
        patch.setattr(nn.Linear, "forward", linear)
        patch.setattr(nn.Embedding, "forward", embedding)
        for kind in (LayerNorm, RMSLayerNorm):
            patch.setattr(kind, "forward", norm)
        hidden = model.hidden(input_ids)
        if model.tied:
            logits = torch.einsum("bpvd,bpd->bpv", copy(model.embedding), hidden)
        else:
            logits = model.logits(hidden)
        token_losses(logits, input_ids).sum().backward()
    return {name: torch.stack([c.grad for c in each]) for name, each in copies.items()}


@pytest.mark.parametrize(
    "settings",
    [
        {"layer_norm_type": LayerNormType.default},
        {"layer_norm_type": LayerNormType.default, "weight_tying": False},
        {"rope": False, "embedding_layer_norm": True},
        {"attention_layer_norm": True, "block_type": BlockType.llama},
    ],
    ids=["norms", "bias of the logits", "places after a norm", "queries"],
)
def test_biases_and_weights_of_norms_are_measured_too(
    make_run, tokenizer, input_ids, monkeypatch, settings
):
    config = model_config(make_run().model, 12, tokenizer)
    model = Olmo(replace(config, include_bias=True, layer_norm_with_affine=True, **settings))
    model = model.double()
    model.config.rope_full_precision = False
    torch.manual_seed(0)
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.3)
    shares = by_position(model, input_ids, monkeypatch)
    measured = gradient_opposition.opposition(model, input_ids, 2)
    assert measured.keys() == shares.keys()
    assert {"norm", "bias"} <= {weight.kind for weight in model.weights().values()}
    bound = {"rtol": 1e-9, "atol": 1e-12}
    if model.config.layer_norm_type == LayerNormType.rms:  # which rounds to float32
        bound = {"rtol": 1e-3, "atol": 1e-5}
    for name, share in shares.items():
        torch.testing.assert_close(measured[name].total, share.sum((0, 1, 2)), **bound)
        torch.testing.assert_close(measured[name].absolute, share.abs().sum((0, 1, 2)), **bound)


def test_neither_micro_batch_nor_order_matters(make_run, tokenizer, tokens):
    model = build_model(make_run(), tokenizer).double()
    input_ids = torch.from_numpy(tokens.batch(np.arange(5)))
    whole = gradient_opposition.opposition(model, input_ids, 5)
    for other in (
        gradient_opposition.opposition(model, input_ids, 1),
        gradient_opposition.opposition(model, input_ids.flip(0), 3),
    ):
        for name, sums in whole.items():
            torch.testing.assert_close(other[name].total, sums.total, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(other[name].absolute, sums.absolute, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("tile", [1, 7])
def test_tiles_change_nothing(make_run, tokenizer, tokens, monkeypatch, tile):
    model = build_model(make_run(), tokenizer).double()
    input_ids = torch.from_numpy(tokens.batch(np.arange(3)))
    whole = gradient_opposition.opposition(model, input_ids, 3)
    monkeypatch.setattr(gradient_opposition, "TILE", tile)
    tiled = gradient_opposition.opposition(model, input_ids, 3)
    for name, sums in whole.items():
        torch.testing.assert_close(tiled[name].absolute, sums.absolute, rtol=1e-12, atol=1e-15)


def test_the_model_is_left_as_it_was(make_run, tokenizer, tokens):
    model = build_model(make_run(), tokenizer)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    input_ids = torch.from_numpy(tokens.batch(np.arange(2)))
    gradient_opposition.opposition(model, input_ids, 2)
    with pytest.raises(RuntimeError, match="inside"), absolute_gradients(model):
        raise RuntimeError("inside")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())


def test_untouched_coordinates_have_no_D(make_run, tokenizer):
    """Token 5 is not read, token 4 only where nothing follows; every row is written."""
    untied = {"d_model": 8, "n_layers": 1, "n_heads": 2, "weight_tying": False}
    model = build_model(make_run(model=untied), tokenizer)
    measured = gradient_opposition.opposition(model, torch.tensor([[1, 2, 3, 1, 4]]), 1)
    assert len(measured["transformer.wte.weight"].D()) == 3 * 8
    assert len(measured["transformer.ff_out.weight"].D()) == 24 * 8


@pytest.fixture
def checkpoint(make_run, tokenizer, tmp_path):
    run = make_run()
    model = build_model(run, tokenizer)
    folder = tmp_path / checkpoint_name(4)
    save_checkpoint(folder, model, make_optimizer(run, model), TrainingState(4, 16, 192))
    return model, {4: folder}


def measure(model, checkpoints, input_ids, out):
    evaluated = evaluation_tokens(input_ids, model, torch.device("cpu"))
    each = of_weights(gradient_opposition.measure, model.eval(), evaluated)
    measure_checkpoints("gradient_opposition", each, checkpoints, out, MicroBatch(2), run="main-x")


def test_file_holds_means_weights_and_histogram(checkpoint, tokens, tmp_path):
    model, checkpoints = checkpoint
    input_ids = tokens.batch(np.arange(3))
    measure(model, checkpoints, input_ids, tmp_path / "o.h5")
    sums = gradient_opposition.opposition(model, torch.from_numpy(input_ids), 2)
    by_weight = {name: each.D() for name, each in sums.items()}
    inner = np.concatenate([D for name, D in by_weight.items() if ".blocks." in name])
    with h5py.File(tmp_path / "o.h5") as file:
        group = file[checkpoint_name(4)]
        assert group.attrs["weights"].split(", ") == list(by_weight)
        assert group["D_proxy"][()] == pytest.approx(inner.mean(), rel=1e-12)
        everything = np.concatenate([*by_weight.values()])
        assert group["D_proxy_with_embeddings"][()] == pytest.approx(everything.mean(), rel=1e-12)
        means = [D.mean() for D in by_weight.values()]
        np.testing.assert_allclose(group["D_proxy_by_weight"][:], means)
        counts, edges = group["D_hist/counts"][:], group["D_hist/edges"][:]
        assert counts.sum() == len(inner) and len(edges) == len(counts) + 1
        middle = (edges[1:] + edges[:-1]) / 2
        assert (counts * middle).sum() / counts.sum() == pytest.approx(inner.mean(), abs=0.005)


def test_a_gradient_that_is_not_finite_is_named(checkpoint, tokens, make_run, tmp_path):
    model, checkpoints = checkpoint
    with torch.no_grad():
        model.transformer.blocks[0].ff_out.weight.fill_(1e38)  # finite, but activations are not
    optimizer = make_optimizer(make_run(), model)
    save_checkpoint(checkpoints[4], model, optimizer, TrainingState(4, 16, 192))
    with pytest.raises(MeasurementError, match=r"step00000004: the gradient of .* is not finite"):
        measure(model, checkpoints, tokens.batch(np.arange(2)), tmp_path / "o.h5")
    assert not (tmp_path / "o.h5").exists()
