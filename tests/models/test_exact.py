"""Token gradients by layers: those of OLMo written by hand are the reference."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from olmo.config import BlockType, LayerNormType
from torch import nn

from zsl.errors import MeasurementError
from zsl.models import exact
from zsl.models.base import LanguageModel, every_token
from zsl.models.exact import LayerGradients
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
}
PIECES = {"chunk": 4, "tile_bytes": 1000}


@pytest.fixture
def input_ids():
    ids = torch.randint(20, (3, 12), generator=torch.Generator().manual_seed(0))
    ids[0, 4:8] = 3
    ids[0, 10] = ids[0, 1]
    return ids


@pytest.fixture
def wide(make_run, tokenizer, in_float64):
    """A function that makes an OLMo in float64."""

    def model(name):
        return in_float64(build_model(make_run(model=ARCHITECTURES[name]), tokenizer))

    return model


def close(ours, truth, bound=1e-10):
    assert ours.keys() == truth.keys()
    for name, value in truth.items():
        assert float((ours[name].double() - value).abs().sum()) <= bound * float(value.sum()), name


@pytest.mark.parametrize("untied", [False, True])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_sums_are_those_made_by_hand(wide, input_ids, random_update, name, untied):
    model = wide(name)
    update, how = random_update(model), {**PIECES, "untied": untied}
    by_hand, by_layers = model.exact_gradients(), LayerGradients(model)
    truth = by_hand.absolute_sums(input_ids, **how)
    close(by_layers.absolute_sums(input_ids, **how), truth)
    narrow = LayerGradients(copy.deepcopy(model).float())
    close(narrow.absolute_sums(input_ids, **how), truth, 1e-5)
    tokens = every_token(input_ids)[np.random.default_rng(0).permutation(33)[:13]]
    some = tokens[np.lexsort((tokens[:, 1], tokens[:, 0]))]
    close(
        by_layers.absolute_sums(input_ids, some, **how),
        by_hand.absolute_sums(input_ids, some, **how),
    )
    s, shares = by_layers.token_sums(input_ids, tokens, update, **how)
    expected, all_shares = by_hand.token_sums(input_ids, tokens, update, **how)
    torch.testing.assert_close(s, expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(shares[:, 0], all_shares[:, 0], rtol=1e-10, atol=0)


@pytest.mark.parametrize(
    "settings",
    [
        {"layer_norm_type": LayerNormType.default},
        {"attention_layer_norm": True, "block_type": BlockType.llama, "weight_tying": False},
        {"rope": False, "embedding_layer_norm": True, "scale_logits": True},
    ],
    ids=["biases", "queries", "scaled logits"],
)
def test_what_is_not_written_by_hand(make_run, tokenizer, input_ids, gradients_by_token, settings):
    config = model_config(make_run().model, 12, tokenizer)
    given = {"include_bias": True, "layer_norm_with_affine": True, **settings}
    model = Olmo(dataclasses.replace(config, **given))
    torch.manual_seed(0)
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.3)
    model = model.double()
    model.config.rope_full_precision = False
    with pytest.raises(MeasurementError, match="are not implemented"):
        model.exact_gradients()
    each = gradients_by_token(model, input_ids)
    # OLMo's RMSNorm rounds to float32.
    bound = 1e-5 if model.config.layer_norm_type == LayerNormType.rms else 1e-10
    truth = {name: gradient.abs().sum(0) for name, gradient in each.items()}
    close(LayerGradients(model).absolute_sums(input_ids, **PIECES), truth, bound)


def test_logits_may_come_in_several_pieces(wide, input_ids, monkeypatch):
    model = wide("tied")
    whole = LayerGradients(model).absolute_sums(input_ids, **PIECES)
    monkeypatch.setattr(exact, "LOGIT_BYTES", 3 * 24 * 8)
    close(LayerGradients(model).absolute_sums(input_ids, **PIECES), whole)


def test_the_model_is_left_as_it_was(wide, input_ids):
    model = wide("gpt2")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    LayerGradients(model).absolute_sums(input_ids, **PIECES)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())


class Two(LanguageModel):
    """Two layers that each token goes through."""

    embedding, output = "embed.weight", "head.weight"
    tied, context = False, 9

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head = nn.Embedding(24, 4), nn.Linear(4, 24, bias=False)
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def load(self, folder):
        raise NotImplementedError

    def hidden(self, input_ids, embedded=None):
        x = self.embed(input_ids) if embedded is None else embedded
        return self.b(torch.tanh(self.a(x).mul_(2))).cumsum(1)

    def logits(self, hidden, on_logits=None):
        logits = self.head(hidden)
        if on_logits:
            on_logits(hidden, logits)
        return logits.mul_(2)

    def activation_bytes(self, positions, *, gradients):
        return positions


def losses(model, ids):
    logits = model.logits(model.hidden(ids))[:, :-1]
    return nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")


def test_layers_whose_outputs_are_changed_in_place(input_ids, gradients_by_token):
    model = Two().double()
    each = gradients_by_token(model, input_ids, losses)
    truth = {name: gradient.abs().sum(0) for name, gradient in each.items()}
    close(LayerGradients(model).absolute_sums(input_ids, **PIECES), truth)


def test_a_weight_that_is_used_elsewhere_too_is_named(input_ids):
    """Where shares by its layer would be less than its gradient."""
    model = Two()
    hidden = model.hidden
    model.hidden = lambda ids, embedded=None: hidden(ids, embedded) @ model.a.weight
    with pytest.raises(MeasurementError, match=r"of a\.weight cannot be measured: what its Linear"):
        LayerGradients(model).absolute_sums(input_ids, **PIECES)


def test_a_layer_that_is_used_several_times_is_named(input_ids):
    model = Two()
    hidden = model.hidden
    model.hidden = lambda ids, embedded=None: model.b(hidden(ids, embedded))
    with pytest.raises(MeasurementError, match=r"of b\.weight cannot be measured: it is used sev"):
        LayerGradients(model).absolute_sums(input_ids, **PIECES)


def test_half_precision_is_refused(input_ids):
    with pytest.raises(MeasurementError, match="bfloat16"):
        LayerGradients(Two().bfloat16())
