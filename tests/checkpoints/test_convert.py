"""What ai2-olmo wrote becomes ours, to the last bit."""

import json
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
import yaml
from olmo.safetensors_util import state_dict_to_safetensors_file
from olmo_run import PEAK, STEPS, keyed_by_name, model_config
from safetensors.torch import load_file, save_file

from zsl.checkpoints.convert import convert
from zsl.checkpoints.errors import CheckpointError
from zsl.files import sha256
from zsl.measurements.next_step import NextStep
from zsl.models.olmo.architecture import load_model
from zsl.training.checkpoint import is_sound


def optimizer_of(folder):
    return torch.load(folder / "optim.pt", weights_only=True)


@pytest.fixture
def source(suite, tmp_path):
    """A copy of the checkpoint of step 8."""
    return shutil.copytree(suite.folder / "step8", tmp_path / "step8")


def equal(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("step", STEPS[:-1])
def test_weights_are_equal_bit_for_bit(suite, tmp_path, step):
    told = convert(suite.folder / f"step{step}", tmp_path / "ours", step=step)
    equal(load_model(tmp_path / "ours").state_dict(), suite.weights[step])
    assert is_sound(tmp_path / "ours")
    state = json.loads((tmp_path / "ours/state.json").read_text())
    assert [state[key] for key in ("step", "sequences", "tokens")] == [step, 4 * step, 48 * step]
    assert told == json.loads((tmp_path / "ours/source.json").read_text())
    assert told["files"]["model.pt"]["sha256"] == sha256(suite.folder / f"step{step}/model.pt")
    assert told["format"] == "olmo_pt" and told["repair"] is None
    groups = told["optimizer"]
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    assert all(group["initial_lr"] == PEAK and group["betas"] == [0.9, 0.95] for group in groups)
    assert not list(tmp_path.glob(".*"))


def test_the_same_bytes_again(source, tmp_path):
    for name in ("a", "b"):
        convert(source, tmp_path / name)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


@pytest.mark.parametrize("kind", ["by index", "by name", "by wrapped name"])
@pytest.mark.parametrize("step", STEPS[:-1])
def test_the_next_step_is_that_of_olmo(suite, source, tmp_path, their_run, kind, step):
    shutil.copytree(suite.folder / f"step{step}", source, dirs_exist_ok=True)
    if kind != "by index":
        prefix = "_fsdp_wrapped_module." if kind == "by wrapped name" else ""
        torch.save(keyed_by_name(optimizer_of(source), prefix), source / "optim.pt")
    convert(source, tmp_path / "ours", step=step)
    model = load_model(tmp_path / "ours")
    own = NextStep(their_run, model, torch.device("cpu"))
    assert own.load(tmp_path / "ours") == step
    equal(model.state_dict(), suite.weights[step])
    own.train(suite.batches[step + 1], PEAK * min(step + 1, 3) / 3)
    for name, weight in model.state_dict().items():
        expected = suite.weights[step + 1][name]
        assert (weight - expected).abs().max() <= 1e-6 * expected.abs().max(), name


def test_the_last_update_at_a_rate_of_0_is_made_up_for(suite, tmp_path):
    source, stored = suite.folder / "step16", suite.weights[16]
    equal(stored, suite.weights[15])  # moments were updated, weights were not
    told = convert(source, tmp_path / "as stored", repair=False)
    assert told["repair"] is None
    equal(load_model(tmp_path / "as stored").state_dict(), stored)

    told = convert(source, tmp_path / "repaired")
    assert told["repair"] == {
        "name": "last_update",
        "rates": [PEAK],
        "bias_correction_step": 15,
    }
    repaired, state = load_model(tmp_path / "repaired").state_dict(), optimizer_of(source)
    for group in state["param_groups"]:
        for index, name in zip(group["params"], group["param_names"], strict=True):
            m, v = (state["state"][index][key].double() for key in ("exp_avg", "exp_avg_sq"))
            update = m / (1 - 0.9**15) / ((v / (1 - 0.95**15)).sqrt() + 1e-5)
            expected = stored[name].double() * (1 - PEAK * group["weight_decay"]) - PEAK * update
            torch.testing.assert_close(repaired[name].double(), expected, rtol=2e-6, atol=1e-8)
    before, after = (
        load_file(tmp_path / n / "optim.safetensors") for n in ("as stored", "repaired")
    )
    equal(before, after)


def test_a_rate_of_0_without_its_settings_cannot_be_made_up_for(suite, source, tmp_path):
    shutil.copytree(suite.folder / "step16", source, dirs_exist_ok=True)
    state = optimizer_of(source)
    del state["param_groups"][0]["initial_lr"]
    torch.save(state, source / "optim.pt")
    with pytest.raises(CheckpointError, match=r"does not say initial_lr.*without the repair"):
        convert(source, tmp_path / "ours")
    convert(source, tmp_path / "ours", repair=False)


def test_olmos_safetensors_become_ours(suite, source, tmp_path):
    state_dict_to_safetensors_file(suite.weights[8], source / "model.safetensors")
    (source / "model.pt").unlink()
    (source / "optim.pt").unlink()
    with pytest.raises(CheckpointError, match="holds no step without"):
        convert(source, tmp_path / "ours")
    told = convert(source, tmp_path / "ours", step=8)
    equal(load_model(tmp_path / "ours").state_dict(), suite.weights[8])
    assert told["format"] == "olmo_safetensors" and told["optimizer"] is None
    assert told["step_from"] == "name"


def hf_folder(folder, weights, **changes):
    """What ``hf_olmo`` saves."""
    from hf_olmo import OLMoConfig, OLMoForCausalLM
    from olmo.model import OLMo

    model = OLMo(model_config(**changes))
    model.load_state_dict(weights)
    config = OLMoConfig(**{**model.config.asdict(), "flash_attention": True})
    folder.mkdir()
    config.architectures = ["OLMoForCausalLM"]
    config.save_pretrained(folder)
    state = OLMoForCausalLM(config, model).state_dict()
    assert all(name.startswith("model.transformer.") for name in state)
    return state


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_hf_olmo_becomes_ours(suite, tmp_path, dtype):
    weights = {name: weight.to(dtype) for name, weight in suite.weights[8].items()}
    state = hf_folder(tmp_path / "theirs", suite.weights[8])
    save_file(
        {name: weight.to(dtype) for name, weight in state.items()},
        tmp_path / "theirs/model.safetensors",
    )
    told = convert(tmp_path / "theirs", tmp_path / "ours", step=8, batch_size=4)
    found = load_model(tmp_path / "ours")
    equal(found.state_dict(), {name: weight.float() for name, weight in weights.items()})
    assert told["format"] == "hf_olmo" and not found.config.flash_attention


def test_hf_olmo_in_several_files(suite, tmp_path):
    state = hf_folder(tmp_path / "theirs", suite.weights[8])
    names = sorted(state)
    for number, part in enumerate((names[:3], names[3:]), start=1):
        path = tmp_path / f"theirs/model-0000{number}-of-00002.safetensors"
        save_file({name: state[name] for name in part}, path)
    convert(tmp_path / "theirs", tmp_path / "ours", step=8)
    equal(load_model(tmp_path / "ours").state_dict(), suite.weights[8])


class Executed:
    """A pickle with code in it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def harm_code(source, name):
    torch.save({"a": Executed(source.parent / "executed")}, source / name)


def harm_plain_pickle(source, name):
    (source / name).write_bytes(pickle.dumps(Executed(source.parent / "executed"), 4))


def cut(source, name, kept=0.7):
    data = (source / name).read_bytes()
    (source / name).write_bytes(data[: int(kept * len(data))])


def weights_with(change):
    def harm(source):
        weights = torch.load(source / "model.pt", weights_only=True)
        change(weights)
        torch.save(weights, source / "model.pt")

    return harm


def optimizer_with(change):
    def harm(source):
        state = optimizer_of(source)
        change(state)
        torch.save(state, source / "optim.pt")

    return harm


def config_with(change):
    def harm(source):
        values = yaml.safe_load((source / "config.yaml").read_text())
        change(values["model"])
        (source / "config.yaml").write_text(yaml.safe_dump(values))

    return harm


def nothing_known(state):
    for group in state["param_groups"]:
        del group["param_names"]


WTE = "transformer.wte.weight"
HARM = {
    "code in the weights": (lambda s: harm_code(s, "model.pt"), r"model\.pt: a pickle that asks "
                            r"for posix\.system.*nothing of it was read or executed"),
    "code in the optimizer": (lambda s: harm_code(s, "optim.pt"), r"optim\.pt.*posix\.system"),
    "a plain pickle": (lambda s: harm_plain_pickle(s, "model.pt"), r"model\.pt: .*(posix\.system|"
                       "could execute)"),
    "NumPy's pickles": (
        lambda s: torch.save({WTE: np.zeros(3)}, s / "model.pt"), "asks for numpy"),
    "truncated weights": (lambda s: cut(s, "model.pt"), r"model\.pt: damaged, cut off"),
    "a truncated optimizer": (lambda s: cut(s, "optim.pt"), r"optim\.pt: damaged, cut off"),
    "an empty file": (lambda s: cut(s, "model.pt", 0), r"model\.pt: damaged, cut off"),
    "no architecture": (lambda s: (s / "config.yaml").write_text("a: 1"), "no key model"),
    "no config": (lambda s: (s / "config.yaml").unlink(), "no checkpoint of OLMo.*it has model.pt"),
    "an unknown architecture": (
        config_with(lambda m: m.update(moe_num_experts=8)), r"the key 'moe_num_experts' = 8"),
    "an environment": (config_with(lambda m: m.update(d_model="${oc.env:HOME}")), r"\$\{"),
    "layers without end": (config_with(lambda m: m.update(n_layers=100)), "n_layers = 100"),
    "another width": (config_with(lambda m: m.update(d_model=16)), r"has shape \(24, 8\)"),
    "another vocabulary": (
        config_with(lambda m: m.update(embedding_size=64)), r"\(24, 8\) instead of \(64, 8\)"),
    "a missing weight": (weights_with(lambda w: w.pop(WTE)), "wte.weight has shape None"),
    "a weight more": (
        weights_with(lambda w: w.update({"transformer.a": torch.zeros(2)})), "transformer.a"),
    "NaN": (weights_with(lambda w: w[WTE][0, 3].fill_(torch.nan)), "wte.weight is not finite"),
    "a number as weight": (weights_with(lambda w: w.update({WTE: 3})), "wte.weight is a int"),
    "integers": (weights_with(lambda w: w.update({WTE: w[WTE].int()})), "tensor of torch.int32"),
    "numbers that are shared": (
        weights_with(lambda w: w.update({WTE: torch.zeros(1).expand(24, 10**9)})), "stand for"),
    "a list": (lambda s: torch.save([1, 2], s / "model.pt"), "holds no weights by name"),
    "another step": (optimizer_with(
        lambda o: [v["step"].fill_(9) for v in o["state"].values()]), "is of step 9, not of"),
    "several steps": (
        optimizer_with(lambda o: o["state"][0]["step"].fill_(9)), r"different steps, \[8, 9\]"),
    "numbers without names": (optimizer_with(nothing_known), "no param_names"),
    "moments of another weight": (
        optimizer_with(lambda o: o["state"].pop(0)), "no state of transformer"),
    "a moment of another shape": (optimizer_with(
        lambda o: o["state"][0].update(exp_avg=torch.zeros(3))), r"has shape \(3,\) instead"),
    "no moments": (
        optimizer_with(lambda o: o["state"][0].pop("exp_avg")), "no exp_avg of .* but step, exp_a"),
    "NaN in the moments": (optimizer_with(
        lambda o: o["state"][0]["exp_avg"].fill_(torch.nan)), "exp_avg of .* is not finite"),
    "weights in place of the optimizer": (
        lambda s: shutil.copy(s / "model.pt", s / "optim.pt"), "not the full state"),
}  # fmt: skip


@pytest.mark.parametrize("what", HARM)
def test_what_is_wrong_is_named_and_nothing_is_left(source, tmp_path, what):
    harm, said = HARM[what]
    convert(source, tmp_path / "ours")
    before = {path: path.read_bytes() for path in (tmp_path / "ours").iterdir()}
    harm(source)
    with pytest.raises(CheckpointError, match=said) as error:
        convert(source, tmp_path / "ours", step=8)
    assert "weights_only" not in str(error.value)
    assert not (tmp_path / "executed").exists()
    assert before == {path: path.read_bytes() for path in (tmp_path / "ours").iterdir()}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours", "step8"]


def test_a_model_of_transformers_is_named(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/config.json").write_text('{"model_type": "gpt_neox", "d_model": 8}')
    save_file({"a": torch.zeros(1)}, tmp_path / "theirs/model.safetensors")
    with pytest.raises(CheckpointError, match="model_type is 'gpt_neox'"):
        convert(tmp_path / "theirs", tmp_path / "ours", step=8)
