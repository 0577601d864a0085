import copy
import dataclasses

import numpy as np
import pytest
import torch
from olmo.config import ActivationType, BlockType, LayerNormType

from zsl.errors import MeasurementError
from zsl.models.base import every_token
from zsl.models.olmo import attention_backward, prefix_backward
from zsl.models.olmo.adapter import Olmo
from zsl.models.olmo.build import build_model, model_config

ARCHITECTURES = {
    "tied": {"d_model": 16, "n_layers": 2, "n_heads": 2},
    "untied": {"d_model": 8, "n_layers": 3, "n_heads": 2, "weight_tying": False},
    "gpt2": {
        "d_model": 8,
        "n_layers": 2,
        "n_heads": 2,
        "rope": False,
        "mlp_ratio": 4,
        "activation": "gelu",
    },
    "one block": {"d_model": 8, "n_layers": 1, "n_heads": 2},
}
PIECES = [(1, 1), (3, 2048), (16, 2**20)]
"""Tokens taken together and bytes of a tile: from one row of one token to everything at once."""


@pytest.fixture
def input_ids():
    """Three sequences of 12; the first repeats tokens, as input and as input and target."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(20, (3, 12), generator=generator)
    ids[0, 4:8] = 3
    ids[0, 10] = ids[0, 1]
    return ids


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    return ARCHITECTURES[request.param]


@pytest.fixture
def model(make_run, tokenizer, architecture):
    return build_model(make_run(model=architecture), tokenizer)


@pytest.fixture
def wide(model, in_float64):
    return in_float64(copy.deepcopy(model))


def distance(ours, truth):
    """||ours - truth||_1 / ||truth||_1 of the worst weight."""
    assert ours.keys() == truth.keys()
    return max(
        float((ours[name].double() - value).abs().sum() / value.abs().sum())
        for name, value in truth.items()
    )


def absolute(each):
    return {name: gradient.abs().sum(0) for name, gradient in each.items()}


def s_of(update, each):
    """s_i = sum_j abs(u_j g_ij) of every prediction."""
    return sum((update[name] * g).abs().flatten(1).sum(1) for name, g in each.items())


@pytest.mark.parametrize(("chunk", "tile_bytes"), PIECES)
def test_sums_equal_one_backward_pass_per_prediction(
    model, wide, input_ids, gradients_by_token, chunk, tile_bytes
):
    truth = absolute(gradients_by_token(wide, input_ids))
    for ours, bound in ((wide, 1e-10), (model, 1e-5)):
        sums = ours.exact_gradients().absolute_sums(input_ids, chunk=chunk, tile_bytes=tile_bytes)
        assert distance(sums, truth) <= bound


@pytest.mark.parametrize(("chunk", "tile_bytes"), PIECES)
def test_each_tokens_sum_is_that_of_its_gradient(
    model, wide, input_ids, gradients_by_token, random_update, chunk, tile_bytes
):
    """Some of the tokens, neither neighbours nor in order."""
    update, narrow_update = random_update(wide), random_update(model)
    truth = s_of(update, gradients_by_token(wide, input_ids))
    chosen = np.random.default_rng(0).permutation(33)[:13]
    tokens = every_token(input_ids)[chosen]
    for ours, u, bound in ((wide, update, 1e-10), (model, narrow_update, 1e-5)):
        s, _ = ours.exact_gradients().token_sums(
            input_ids, tokens, u, chunk=chunk, tile_bytes=tile_bytes
        )
        assert s.dtype == torch.float64
        torch.testing.assert_close(s, truth[torch.from_numpy(chosen)], rtol=bound, atol=0)


def test_sums_of_some_tokens(wide, input_ids, gradients_by_token):
    chosen = np.array([2, 3, 8, 21, 30])
    each = gradients_by_token(wide, input_ids)
    truth = absolute({name: g[torch.from_numpy(chosen)] for name, g in each.items()})
    tokens = every_token(input_ids)[chosen]
    assert (
        distance(
            wide.exact_gradients().absolute_sums(input_ids, tokens, chunk=2, tile_bytes=600), truth
        )
        <= 1e-10
    )


@pytest.mark.parametrize("architecture", [ARCHITECTURES["tied"], ARCHITECTURES["gpt2"]])
def test_untied_uses_are_two_matrices(
    make_run, tokenizer, input_ids, wide, architecture, gradients_by_token, random_update
):
    """The same function with a matrix of its own for the output has the gradients."""
    untied = build_model(make_run(model={**architecture, "weight_tying": False}), tokenizer)
    untied.config.rope_full_precision = False
    state = wide.state_dict()
    state["transformer.ff_out.weight"] = state["transformer.wte.weight"]
    untied.double().load_state_dict(state)
    each = gradients_by_token(untied, input_ids)
    pieces = {"chunk": 4, "tile_bytes": 1000, "untied": True}
    assert (
        distance(wide.exact_gradients().absolute_sums(input_ids, **pieces), absolute(each)) <= 1e-10
    )
    update = random_update(wide)
    s, _ = wide.exact_gradients().token_sums(input_ids, every_token(input_ids), update, **pieces)
    both = {**update, "transformer.ff_out.weight": update["transformer.wte.weight"]}
    torch.testing.assert_close(s, s_of(both, each), rtol=1e-10, atol=0)


@pytest.mark.parametrize("architecture", [ARCHITECTURES["untied"]])
def test_untied_changes_nothing_about_an_untied_model(model, input_ids):
    pieces = {"chunk": 4, "tile_bytes": 1000}
    plain = model.exact_gradients().absolute_sums(input_ids, **pieces)
    untied = model.exact_gradients().absolute_sums(input_ids, **pieces, untied=True)
    assert untied.keys() == plain.keys()
    assert all(torch.equal(untied[name], value) for name, value in plain.items())


def test_neither_order_nor_threads_matter(wide, input_ids):
    sums = wide.exact_gradients().absolute_sums(input_ids, chunk=16, tile_bytes=2**20)
    torch.set_num_threads(2)
    try:
        flipped = wide.exact_gradients().absolute_sums(
            input_ids.flip(0), chunk=16, tile_bytes=2**20
        )
    finally:
        torch.set_num_threads(1)
    assert distance(flipped, sums) <= 1e-10


def test_logits_may_come_in_several_pieces(wide, input_ids, monkeypatch):
    whole = wide.exact_gradients().absolute_sums(input_ids, chunk=4, tile_bytes=1000)
    monkeypatch.setattr(prefix_backward, "LOGIT_BYTES", 3 * 24 * 8)
    assert (
        distance(wide.exact_gradients().absolute_sums(input_ids, chunk=4, tile_bytes=1000), whole)
        <= 1e-10
    )


@pytest.mark.parametrize("keys", [1, 5])
def test_keys_may_come_in_several_pieces(wide, input_ids, monkeypatch, keys):
    whole = wide.exact_gradients().absolute_sums(input_ids, chunk=4, tile_bytes=1000)
    monkeypatch.setattr(attention_backward, "KEYS", keys)
    assert (
        distance(wide.exact_gradients().absolute_sums(input_ids, chunk=4, tile_bytes=1000), whole)
        <= 1e-10
    )


def test_the_model_is_left_as_it_was(model, input_ids):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.exact_gradients().absolute_sums(input_ids, chunk=4, tile_bytes=1000)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())


@pytest.mark.parametrize(
    "unsupported",
    [
        {"include_bias": True},
        {"alibi": True, "rope": False},
        {"layer_norm_type": LayerNormType.default},
        {"layer_norm_with_affine": True},
        {"attention_layer_norm": True},
        {"embedding_layer_norm": True},
        {"norm_after": True},
        {"clip_qkv": 1.0},
        {"scale_logits": True},
        {"residual_dropout": 0.1},
        {"attention_dropout": 0.1},
        {"embedding_dropout": 0.1},
        {"n_kv_heads": 1},
        {"block_type": BlockType.llama},
        {"block_group_size": 2},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_other_architectures_are_refused(make_run, tokenizer, input_ids, unsupported):
    config = model_config(make_run().model, 12, tokenizer)
    model = Olmo(dataclasses.replace(config, **unsupported))
    with pytest.raises(MeasurementError, match=next(iter(unsupported))):
        model.exact_gradients().absolute_sums(input_ids, chunk=4, tile_bytes=1000)


def test_relu_is_supported_and_half_precision_is_not(
    make_run, tokenizer, input_ids, in_float64, gradients_by_token
):
    config = model_config(make_run().model, 12, tokenizer)
    model = in_float64(Olmo(dataclasses.replace(config, activation_type=ActivationType.relu)))
    sums = model.exact_gradients().absolute_sums(input_ids, chunk=4, tile_bytes=1000)
    assert distance(sums, absolute(gradients_by_token(model, input_ids))) <= 1e-10
    with pytest.raises(MeasurementError, match="bfloat16"):
        model.bfloat16().exact_gradients().absolute_sums(input_ids, chunk=4, tile_bytes=1000)
