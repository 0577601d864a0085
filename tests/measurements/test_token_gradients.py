import copy

import h5py
import numpy as np
import pytest
import torch

from zsl.config.measurements import TokenGradients
from zsl.errors import MeasurementError
from zsl.measurements import token_gradients
from zsl.measurements.token_gradients import random_signs
from zsl.models.olmo.build import build_model
from zsl.models.olmo.exact_gradients import OlmoGradients

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
EXACT = TokenGradients(sequences=3, chunk=4, tile_mib=1e-3)
SCALARS = ("D_grad", "C_g", "C_g_floor", "C_uG", "C_ug", "D_first_order", "max_C")


@pytest.fixture(params=ARCHITECTURES)
def model(request, make_run, tokenizer):
    return build_model(make_run(model=ARCHITECTURES[request.param]), tokenizer)


@pytest.fixture
def tied(make_run, tokenizer):
    return build_model(make_run(model=ARCHITECTURES["tied"]), tokenizer)


@pytest.fixture
def wide(model, in_float64):
    return in_float64(copy.deepcopy(model))


@pytest.fixture
def input_ids():
    """Four sequences of 12 tokens, the first with repetitions."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(20, (4, 12), generator=generator)
    ids[0, 4:8] = 3
    return ids


@pytest.fixture
def measure(tmp_path):
    """Measure into a file of its own, and read everything back."""

    def measure(model, input_ids, update, settings=EXACT, micro_batch_size=2):
        with h5py.File(tmp_path / "t.h5", "w") as file:
            token_gradients.measure(model, input_ids, update, settings, micro_batch_size, file)
            found = {}
            file.visititems(
                lambda name, item: found.update({name: item[()]} if hasattr(item, "shape") else {})
            )
            return found, dict(file.attrs)

    return measure


def from_definitions(each, update, signs):
    """Eqs. 18 and 22-30 written out for token gradients by weight, (tokens, *shape)."""
    g = torch.cat([gradient.flatten(1) for gradient in each.values()], dim=1)
    u = torch.cat([update[name].double().flatten() for name in each])
    p = u * g
    change = p.sum(1)
    touched = g.abs().sum(0) > 0
    C = g.sum(0).abs()[touched] / g.abs().sum(0)[touched]
    inner = torch.cat([torch.full((each[n][0].numel(),), ".blocks." in n) for n in each])
    return {
        "C_g": p.sum(0).abs().sum() / p.abs().sum(),
        "C_g_floor": (signs.flatten()[:, None] * p).sum(0).abs().sum() / p.abs().sum(),
        "C_uG": p.sum().abs() / p.sum(0).abs().sum(),
        "C_ug": change.abs().sum() / p.abs().sum(),
        "D_first_order": 1 - change.sum().abs() / change.abs().sum(),
        "max_C": C.max(),
        "D_grad": (1 - C)[inner[touched]].mean(),
        "D_grad_with_embeddings": (1 - C).mean(),
    }


def test_file_holds_what_the_definitions_say(
    model, wide, input_ids, gradients_by_token, random_update, measure
):
    update = random_update(wide)
    each = gradients_by_token(wide, input_ids[:3])
    truth = from_definitions(each, update, random_signs(input_ids[:3], EXACT.seed))
    narrow = {name: u.float() for name, u in update.items()}
    for ours, u, bound in ((wide, update, 1e-10), (model, narrow, 1e-5)):
        found, attributes = measure(ours, input_ids, u)
        for name, value in truth.items():
            assert found[name] == pytest.approx(float(value), rel=bound, abs=bound), name
        changes = sum((update[n] * g).flatten(1).sum(1) for n, g in each.items())
        assert found["first_order_delta_loss"].shape == (3, 11)
        np.testing.assert_allclose(
            found["first_order_delta_loss"].flatten(), changes.numpy(), rtol=1e-4, atol=bound
        )
        by_weight = {
            n: 1 - (g.sum(0).abs() / g.abs().sum(0))[g.abs().sum(0) > 0] for n, g in each.items()
        }
        weights = attributes["weights"].split(", ")
        assert sorted(weights) == sorted(each)
        means = [float(by_weight[n].mean()) for n in weights]
        np.testing.assert_allclose(found["D_grad_by_weight"], means, atol=bound)
        untouched = [each[n][0].numel() - len(by_weight[n]) for n in weights]
        np.testing.assert_array_equal(found["n_untouched"], untouched)
        assert found["D_hist/counts"].sum() == sum(
            len(D) for n, D in by_weight.items() if ".blocks." in n
        )
        assert attributes["sequences"] == 3
        assert (attributes["estimator"], attributes["untied"]) == ("exact", False)


def test_interference_splits_into_opposition_and_alignment(
    model, input_ids, random_update, measure
):
    """Eq. 9, whose four terms are measured in three ways; no coordinate has more than max_C."""
    found, _ = measure(model, input_ids, random_update(model))
    product = found["C_g"] * found["C_uG"] / found["C_ug"]
    assert 1 - found["D_first_order"] == pytest.approx(product, rel=1e-4)
    assert found["C_g"] <= found["max_C"] <= 1


def test_pieces_change_nothing(model, input_ids, random_update, measure):
    update = random_update(model)
    found, _ = measure(model, input_ids, update)
    other, _ = measure(
        model, input_ids, update, TokenGradients(sequences=3, chunk=16, tile_mib=1), 3
    )
    for name in SCALARS:
        assert other[name] == pytest.approx(found[name], rel=1e-5, abs=1e-5)


def test_untied_uses_are_two_matrices(
    make_run, tokenizer, tied, input_ids, gradients_by_token, random_update, in_float64, measure
):
    tied = in_float64(tied)
    architecture = {**ARCHITECTURES["tied"], "weight_tying": False}
    untied = in_float64(build_model(make_run(model=architecture), tokenizer))
    state = tied.state_dict()
    untied.load_state_dict({**state, "transformer.ff_out.weight": state["transformer.wte.weight"]})
    update = random_update(tied)
    both = {**update, "transformer.ff_out.weight": update["transformer.wte.weight"]}
    signs = random_signs(input_ids[:3], EXACT.seed)
    truth = from_definitions(gradients_by_token(untied, input_ids[:3]), both, signs)
    settings = EXACT.model_copy(update={"untied": True})
    found, attributes = measure(tied, input_ids, update, settings)
    for name, value in truth.items():
        assert found[name] == pytest.approx(float(value), rel=1e-10), name
    assert attributes["untied"]
    assert "transformer.ff_out.weight" in attributes["weights"]
    plain, _ = measure(tied, input_ids, update)
    assert found["D_first_order"] == pytest.approx(plain["D_first_order"], rel=1e-12)
    assert found["C_g"] != pytest.approx(plain["C_g"], rel=1e-3)


def test_no_update_has_no_interference(tied, input_ids, measure):
    nothing = {name: torch.zeros_like(p) for name, p in tied.named_parameters()}
    found, _ = measure(tied, input_ids, nothing)
    for name in ("C_g", "C_g_floor", "C_uG", "C_ug", "D_first_order"):
        assert np.isnan(found[name])
    assert 0 < found["D_grad"] < 1


@pytest.mark.parametrize("untied", [False, True])
def test_a_sample_of_all_tokens_is_exact(model, input_ids, random_update, measure, untied):
    update = random_update(model)
    exact = EXACT.model_copy(update={"untied": untied})
    sampled = exact.model_copy(update={"estimator": "sampled", "tokens": 33, "seed": 5})
    truth, _ = measure(model, input_ids, update, exact)
    found, attributes = measure(model, input_ids, update, sampled)
    for name in ("C_g", "C_ug"):
        assert found[name] == pytest.approx(truth[name], rel=1e-5)
        assert found[f"{name}_se"] == 0
    same_signs, _ = measure(model, input_ids, update, exact.model_copy(update={"seed": 5}))
    assert found["C_g_floor"] == pytest.approx(same_signs["C_g_floor"], rel=1e-5)
    for name in ("C_uG", "D_first_order"):
        assert found[name] == truth[name]
    assert attributes["tokens"] == 33 and attributes["seed"] == 5
    assert not any(name.startswith("D_grad") or "hist" in name for name in found)


OF_WHOLE = ("D_proxy", "D_grad", "D_hist", "max_C", "n_untouched")


def test_sampled_sequences_give_D_of_their_own_and_C_of_all(tied, random_update, measure):
    """C lies within its error of the exact one; what forward mode knows is exact."""
    ids = torch.randint(20, (40, 12), generator=torch.Generator().manual_seed(1))
    update = random_update(tied)
    of = {"sequences": 40, "estimator": "sampled_sequences", "sampled_sequences": 16}
    found, attributes = measure(tied, ids, update, EXACT.model_copy(update=of))
    assert (attributes["sequences"], attributes["D_sequences"]) == (40, 16)
    truth, _ = measure(tied, ids, update, EXACT.model_copy(update={"sequences": 40}))
    fewer, _ = measure(tied, ids, update, EXACT.model_copy(update={"sequences": 16}))
    for name, value in fewer.items():
        if name.startswith(OF_WHOLE):
            np.testing.assert_allclose(found[name], value, rtol=1e-6)
    for name in ("C_uG", "D_first_order", "first_order_delta_loss"):
        np.testing.assert_array_equal(found[name], truth[name])
    for name in ("C_g", "C_ug"):
        assert 0 < found[f"{name}_se"] < 0.1 * found[name]
        assert abs(found[name] - truth[name]) < 4 * found[f"{name}_se"]
        assert found[name] != pytest.approx(fewer[name], rel=1e-3)


def test_a_sample_of_all_sequences_is_exact(tied, random_update, measure):
    ids = torch.randint(20, (9, 12), generator=torch.Generator().manual_seed(1))
    update = random_update(tied)
    of = {"sequences": 9, "estimator": "sampled_sequences", "sampled_sequences": 9}
    found, _ = measure(tied, ids, update, EXACT.model_copy(update=of))
    truth, _ = measure(tied, ids, update, EXACT.model_copy(update={"sequences": 9}))
    for name, value in truth.items():
        np.testing.assert_array_equal(found[name], value)
    assert found["C_g_se"] == found["C_ug_se"] == 0


def test_random_signs_are_a_fair_coin_for_each_prediction():
    signs = random_signs(torch.zeros(40, 51, dtype=torch.int64), 1).numpy()
    assert signs.shape == (40, 50) and set(signs.flat) == {-1, 1}
    assert abs(signs.mean()) < 4 / len(signs.flat) ** 0.5
    other = random_signs(torch.zeros(40, 51, dtype=torch.int64), 2).numpy()
    assert abs((signs * other).mean()) < 4 / len(signs.flat) ** 0.5


def test_a_sample_says_how_far_off_it_is(tied, input_ids, random_update, measure):
    update = random_update(tied)
    truth, _ = measure(tied, input_ids, update)
    sampled = EXACT.model_copy(update={"estimator": "sampled", "tokens": 11})
    found, _ = measure(tied, input_ids, update, sampled)
    for name in ("C_g", "C_ug"):
        assert 0 < found[f"{name}_se"] < 0.2 * found[name]
        assert abs(found[name] - truth[name]) < 4 * found[f"{name}_se"]


@pytest.mark.parametrize("estimator", ["exact", "sampled"])
def test_weights_that_are_not_finite_are_an_error(
    tied, input_ids, random_update, measure, estimator
):
    update = random_update(tied)
    with torch.no_grad():
        tied.transformer.blocks[0].ff_out.weight[0, 0] = float("nan")
    with pytest.raises(MeasurementError, match="not finite"):
        measure(tied, input_ids, update, EXACT.model_copy(update={"estimator": estimator}))


def test_a_gradient_that_is_not_finite_is_named(
    tied, input_ids, random_update, measure, monkeypatch
):
    """Also when the losses and their changes are finite."""
    update = random_update(tied)
    name = "transformer.blocks.1.att_proj.weight"

    for place, function in (
        (token_gradients, "total_gradient"),
        (OlmoGradients, "absolute_sums"),
    ):
        with monkeypatch.context() as patch:
            original = getattr(place, function)
            patch.setattr(
                place,
                function,
                lambda *args, original=original, **kwargs: {
                    n: sums / (n != name) for n, sums in original(*args, **kwargs).items()
                },
            )
            with pytest.raises(MeasurementError, match=f"gradient of {name} is not finite"):
                measure(tied, input_ids, update)


def test_other_architectures_are_refused_before_any_work(tied, input_ids, measure, monkeypatch):
    monkeypatch.setattr(token_gradients, "first_order", None)
    tied.config.clip_qkv = 1.0
    with pytest.raises(MeasurementError, match="clip_qkv"):
        measure(tied, input_ids, {})
