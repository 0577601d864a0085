"""Folders of transformers: what is read, and what is refused because it does not fit."""

import json
import subprocess
import sys

import pytest
import torch
from hf_models import make, save
from safetensors.torch import load_file, save_file

from zsl.errors import TrainingError
from zsl.models.families import family_of
from zsl.models.hf import folder as family
from zsl.models.hf.folder import describe, load_model
from zsl.models.hf.read import NOT_WEIGHTS

WEIGHTS = "model.safetensors"
NAMES = ("GPT-NeoX", "GPT-2", "Llama", "Llama, tied", "OLMo 2", "Mixtral")


@pytest.fixture
def neox(tmp_path):
    return save("GPT-NeoX", tmp_path), tmp_path


def change(folder, edit):
    """Rewrite the weights of a folder."""
    tensors = load_file(folder / WEIGHTS)
    edit(tensors)
    save_file(tensors, folder / WEIGHTS)


def settings(folder, **new):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **new}))


def is_read_as(folder, written):
    """Whether each weight is what was written, read once and read again into another model."""
    expected = {n: w.detach().float() for n, w in written.named_parameters()}
    model = load_model(folder)
    for weight in model.parameters():
        assert weight.dtype == torch.float32
    again = load_model(folder)
    for weight in again.parameters():
        torch.nn.init.zeros_(weight)
    again.load(folder)
    for found in (dict(model.named_parameters()), dict(again.named_parameters())):
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], weight) for name, weight in expected.items())


def as_is(model, folder):
    model.save_pretrained(folder)


def in_shards(model, folder):
    model.save_pretrained(folder, max_shard_size="2KB")
    assert len([*folder.glob("model-*.safetensors")]) > 1


def pickled(model, folder):
    """As transformers wrote them until version 4.35: tied weights twice, sharing their numbers."""
    model.save_pretrained(folder)
    (folder / WEIGHTS).unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


def pickled_in_shards(model, folder):
    model.save_pretrained(folder)
    (folder / WEIGHTS).unlink()
    state = model.state_dict()
    files = {n: f"pytorch_model-{i % 2 + 1:05}-of-00002.bin" for i, n in enumerate(state)}
    for file in set(files.values()):
        torch.save({n: w for n, w in state.items() if files[n] == file}, folder / file)
    index = {"metadata": {}, "weight_map": files}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("write", [as_is, in_shards, pickled, pickled_in_shards])
@pytest.mark.parametrize("name", ["GPT-2", "Llama"])
def test_weights_are_read_from_any_storage(tmp_path, name, write, dtype):
    model = make(name).to(dtype)
    write(model, tmp_path)
    is_read_as(tmp_path, model)


@pytest.mark.parametrize("name", NAMES)
def test_every_class_is_read(tmp_path, name):
    is_read_as(tmp_path, save(name, tmp_path))


def test_a_folder_says_what_it_is(tmp_path):
    save("GPT-NeoX", tmp_path)
    assert family_of(tmp_path) is family
    found = describe(tmp_path)
    assert (found.context, found.rows) == (16, 24)
    assert found.settings["use_parallel_residual"] is False
    assert not found.settings.keys() & {"transformers_version", "dtype", "hidden_dropout"}
    save("GPT-2", tmp_path / "other")
    assert describe(tmp_path / "other").context == 16


def test_nothing_of_it_is_imported_until_a_model_is_loaded(tmp_path):
    save("GPT-NeoX", tmp_path)
    code = (
        "import sys; from pathlib import Path; from zsl.models.families import family_of;"
        f"folder = Path({str(tmp_path)!r}); family_of(folder).describe(folder);"
        "import zsl.cli, zsl.measure.given;"
        "sys.exit(sorted({'torch', 'transformers'} & sys.modules.keys()) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_olmos_own_folders_are_of_another_family(tmp_path):
    save("Llama", tmp_path)
    settings(tmp_path, model_type="hf_olmo")
    assert not family.knows(tmp_path)
    settings(tmp_path, model_type="llama")
    assert family.knows(tmp_path)
    (tmp_path / "config.yaml").write_text("model: {}\n")
    assert family_of(tmp_path).__name__ == "zsl.models.olmo.folder"


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("GPT-NeoX", "gpt_neox.layers.0.attention.bias"),
        ("GPT-NeoX", "gpt_neox.layers.1.attention.masked_bias"),
        ("GPT-NeoX", "gpt_neox.layers.1.attention.rotary_emb.inv_freq"),
        ("GPT-2", "transformer.h.0.attn.bias"),
        ("GPT-2", "transformer.h.0.attn.masked_bias"),
        ("Llama", "model.layers.0.self_attn.rotary_emb.inv_freq"),
    ],
)
def test_buffers_of_older_versions_have_a_place(tmp_path, name, beside):
    model = save(name, tmp_path)
    change(tmp_path, lambda t: t.update({beside: torch.ones(1, 1, 4, 4, dtype=torch.bool)}))
    is_read_as(tmp_path, model)


@pytest.mark.parametrize("name", NAMES)
def test_no_weight_is_taken_for_such_a_buffer(tmp_path, name):
    save(name, tmp_path)
    assert not [n for n in load_file(tmp_path / WEIGHTS) if NOT_WEIGHTS.search(n)]


QKV = "gpt_neox.layers.0.attention.query_key_value"
WRONG = {
    "one is missing": (lambda t: t.pop(f"{QKV}.weight"), f"the files lack {QKV}.weight"),
    "a bias is missing": (lambda t: t.pop(f"{QKV}.bias"), f"the files lack {QKV}.bias"),
    "the unembedding is missing": (
        lambda t: t.pop("embed_out.weight"),
        r"the files lack \S+\.weight",
    ),
    "one more": (lambda t: t.update(extra=torch.ones(2)), "the model has no place for extra"),
    "another name": (lambda t: t.update(other=t.pop(f"{QKV}.bias")), f"the files lack {QKV}.bias"),
    "another shape": (
        lambda t: t.update({f"{QKV}.bias": torch.ones(25)}),
        rf"{QKV}.bias has the shape \(25,\) instead of \(24,\)",
    ),
    "not finite": (
        lambda t: t[f"{QKV}.bias"].fill_(float("inf")),
        rf"model\.safetensors: {QKV}.bias is not finite",
    ),
    "integers": (
        lambda t: t.update({f"{QKV}.bias": torch.ones(24, dtype=torch.int8)}),
        f"{QKV}.bias is a tensor of torch.int8",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_weights_that_do_not_fit_are_named(neox, what):
    edit, said = WRONG[what]
    change(neox[1], edit)
    with pytest.raises(TrainingError, match=said):
        load_model(neox[1])


def test_a_weight_that_transformers_would_not_miss_is_missed(neox, monkeypatch):
    """Its classes have lists of names that may be missing, or left over, without a word."""
    from transformers import GPTNeoXForCausalLM

    monkeypatch.setattr(GPTNeoXForCausalLM, "_keys_to_ignore_on_load_unexpected", ["extra"])
    change(neox[1], lambda t: t.update(extra=torch.ones(2)))
    with pytest.raises(TrainingError, match=r"weights are .* numbers.* extra in the files"):
        load_model(neox[1])
    monkeypatch.setattr(GPTNeoXForCausalLM, "_keys_to_ignore_on_load_missing", [r".*dense\.bias"])
    change(neox[1], lambda t: (t.pop("extra"), t.pop("gpt_neox.layers.0.attention.dense.bias")))
    with pytest.raises(
        TrainingError, match=r"weights are .* numbers.*neox.layers\.0\.attention\.dense\.bias"
    ):
        load_model(neox[1])


def test_tied_weights_that_differ_are_refused(tmp_path):
    save("GPT-2", tmp_path)
    wte = load_file(tmp_path / WEIGHTS)["transformer.wte.weight"]
    change(tmp_path, lambda t: t.update({"lm_head.weight": wte.clone()}))
    assert load_model(tmp_path).tied
    change(tmp_path, lambda t: t.update({"lm_head.weight": wte + 1}))
    with pytest.raises(TrainingError, match=r"ties lm_head\.weight to .*wte\.weight, and .*differ"):
        load_model(tmp_path)


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def test_pickles_are_not_executed(neox, capsys):
    (neox[1] / WEIGHTS).unlink()
    torch.save({"a": Evil()}, neox[1] / "pytorch_model.bin")
    with pytest.raises(TrainingError, match=r"pytorch_model\.bin: "):
        load_model(neox[1])
    assert "executed" not in capsys.readouterr().out


def test_a_number_that_stands_for_many_is_refused(neox):
    state = {"a": torch.ones(1).expand(1 << 40)}
    (neox[1] / WEIGHTS).unlink()
    torch.save(state, neox[1] / "pytorch_model.bin")
    with pytest.raises(TrainingError, match="a stands for more numbers than the file holds"):
        load_model(neox[1])


def test_code_beside_the_weights_is_not_executed(neox):
    code = "raise SystemExit('executed')\n"
    (neox[1] / "modeling.py").write_text(code)
    auto = {"AutoConfig": "modeling.C", "AutoModelForCausalLM": "modeling.M"}
    settings(neox[1], auto_map=auto, _attn_implementation="someone/kernels")
    is_read_as(neox[1], neox[0])
    settings(neox[1], model_type="their_own")
    with pytest.raises(TrainingError, match="no causal language model of the type 'their_own'"):
        load_model(neox[1])


BROKEN = {
    "more layers": ({"num_hidden_layers": 10**9}, "1000000000 layers, where there are 28 weights"),
    "a wide layer": ({"intermediate_size": 1 << 40}, "not weights of this GPTNeoXForCausalLM"),
    "words": ({"hidden_size": "many"}, "config.json: "),
    "quantised": ({"quantization_config": {"quant_method": "gptq"}}, "weights are quantised"),
    "not causal": ({"model_type": "t5"}, "no causal language model of the type 't5'"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_settings_that_do_not_fit_are_named(neox, what):
    new, said = BROKEN[what]
    settings(neox[1], **new)
    with pytest.raises(TrainingError, match=said):
        load_model(neox[1])


def test_a_model_that_sees_what_it_predicts_is_refused(tmp_path):
    save("BERT", tmp_path)
    with pytest.raises(TrainingError, match="BertLMHeadModel sees the tokens that it predicts"):
        load_model(tmp_path)


def test_weights_of_another_architecture_are_refused_when_they_are_loaded(neox, tmp_path):
    save("Llama", tmp_path / "other")
    with pytest.raises(TrainingError, match="other: not weights of this architecture"):
        load_model(neox[1]).load(tmp_path / "other")


def test_parts_that_are_missing_or_elsewhere_are_named(tmp_path):
    from zsl.errors import MeasurementError

    make("GPT-NeoX").save_pretrained(tmp_path, max_shard_size="2KB")
    last = sorted(tmp_path.glob("model-*.safetensors"))[-1]
    last.rename(tmp_path / "away")
    with pytest.raises(MeasurementError, match=f"{last.name}: no such file"):
        describe(tmp_path)
    with pytest.raises(TrainingError, match=f"{last.name}"):
        load_model(tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    values = json.loads(index.read_text())
    values["weight_map"]["embed_out.weight"] = "../away"
    index.write_text(json.dumps(values))
    with pytest.raises(MeasurementError, match=r"names \.\./away, which is no file beside it"):
        describe(tmp_path)
    index.unlink()
    with pytest.raises(MeasurementError, match=r"holds no weights; model\.safetensors or"):
        describe(tmp_path)
