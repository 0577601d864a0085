from dataclasses import replace

import pytest
import torch
from olmo.config import LayerNormType

from zsl.config.schema import Model
from zsl.errors import MeasurementError
from zsl.measurements import first_order as module
from zsl.measurements.first_order import first_order
from zsl.models.base import LanguageModel
from zsl.models.olmo import tangents
from zsl.models.olmo.adapter import Olmo
from zsl.models.olmo.build import build_model, model_config
from zsl.training.step import token_losses

TIED = {"d_model": 8, "n_layers": 2, "n_heads": 2}
MODELS = {
    "tied": TIED,
    "untied": {**TIED, "weight_tying": False},
    "gpt2": {**TIED, "n_layers": 1, "rope": False, "mlp_ratio": 4, "activation": "gelu"},
}


def fail(*_):
    raise MeasurementError("not this way")


@pytest.fixture(params=[*MODELS, *(f"{name}, forward mode" for name in MODELS), "other"])
def model(request, make_run, tokenizer, monkeypatch):
    """The models that are trained here, both ways, and one with all that these have not."""
    name, _, forward_mode = request.param.partition(", ")
    other = name == "other"
    # The other way fails, so that each is known to be taken.
    if forward_mode:
        monkeypatch.setattr(tangents, "check_architecture", fail)
    elif other:
        monkeypatch.setattr(tangents, "hidden_states", fail)
    else:
        monkeypatch.setattr(LanguageModel, "hidden_tangents", fail)
    model = build_model(make_run(model=MODELS.get(name, TIED)), tokenizer)
    if other:
        torch.manual_seed(0)
        settings = {"layer_norm_type": LayerNormType.default, "layer_norm_with_affine": True}
        model = Olmo(replace(model.config, include_bias=True, n_kv_heads=1, **settings))
    return model.eval()


def along(model, update, steps, input_ids):
    """Token losses of the model moved along ``update``."""
    moved = {name: p + steps * update[name] for name, p in model.named_parameters()}
    logits = torch.func.functional_call(model, moved, (input_ids,)).logits
    return token_losses(logits, input_ids).detach()


def relative(ours, truth):
    return float((ours - truth).norm() / truth.norm())


@pytest.fixture
def input_ids(tokens):
    return torch.from_numpy(tokens.array[:5].copy())


def test_equals_central_differences_in_float64(model, input_ids, in_float64, random_update):
    in_float32 = first_order(model, input_ids, random_update(model), 5)
    double = in_float64(model)
    update, h = random_update(double), 1e-3
    f = {k: along(double, update, k * h, input_ids) for k in (-2, -1, 1, 2)}
    truth = (f[-2] - 8 * f[-1] + 8 * f[1] - f[2]) / (12 * h)
    assert relative(first_order(double, input_ids, update, 5), truth) < 1e-9
    assert relative(in_float32, truth) < 1e-5


def test_equals_the_sum_over_parameters_of_token_gradients(model, input_ids, random_update):
    update = random_update(model)
    parameters = dict(model.named_parameters())
    losses = token_losses(model(input_ids).logits, input_ids)
    truth = torch.zeros(losses.shape, dtype=torch.float64)
    for index in torch.cartesian_prod(*map(torch.arange, losses.shape)):
        loss = losses[tuple(index)]
        gradients = torch.autograd.grad(
            loss, list(parameters.values()), retain_graph=True, allow_unused=True
        )
        truth[tuple(index)] = sum(
            (g.double() * update[name].double()).sum()
            for name, g in zip(parameters, gradients, strict=True)
            if g is not None
        )
    assert relative(first_order(model, input_ids, update, 5), truth) < 1e-5


def test_sum_is_the_product_with_the_gradient(model, input_ids, in_float64, random_update):
    model = in_float64(model)
    update = random_update(model)
    token_losses(model(input_ids).logits, input_ids).sum().backward()
    truth = sum(float((p.grad * update[n]).sum()) for n, p in model.named_parameters())
    total = float(first_order(model, input_ids, update, 5).sum())
    assert total == pytest.approx(truth, rel=1e-10)


@pytest.mark.parametrize("rows", [1, 7, 10_000])
@pytest.mark.parametrize("micro_batch_size", [1, 2, 5])
def test_batches_and_blocks_of_rows_change_nothing(
    model, input_ids, random_update, monkeypatch, rows, micro_batch_size
):
    update = random_update(model)
    whole = first_order(model, input_ids, update, 5)
    monkeypatch.setattr(module, "ROWS", rows)
    assert relative(first_order(model, input_ids, update, micro_batch_size), whole) < 1e-6


def test_is_linear_in_the_update_and_leaves_the_model(model, input_ids, random_update):
    update = random_update(model)
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    once = first_order(model, input_ids, update, 5)
    double = {name: 2 * change for name, change in update.items()}
    assert relative(first_order(model, input_ids, double, 5), 2 * once) < 1e-6
    assert all(torch.equal(p, weights[name]) for name, p in model.named_parameters())


def test_weights_that_are_not_finite_are_an_error(model, input_ids, random_update):
    update = random_update(model)
    with torch.no_grad():
        model.transformer.wte.weight[0, 0] = float("nan")
    with pytest.raises(MeasurementError, match="not finite"):
        first_order(model, input_ids, update, 5)


@pytest.mark.parametrize(
    ("setting", "named"), [("scale_logits", "scale_logits"), ("include_bias", r"ff_out\.bias")]
)
def test_logits_that_are_more_than_a_product_are_refused(make_run, tokenizer, setting, named):
    config = model_config(
        Model(d_model=8, n_layers=1, n_heads=2, weight_tying=False), 12, tokenizer
    )
    setattr(config, setting, True)
    other = Olmo(config).eval()
    with pytest.raises(MeasurementError, match=named):
        first_order(other, torch.zeros(1, 4, dtype=torch.long), {}, 1)
