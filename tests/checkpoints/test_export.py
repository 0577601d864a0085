"""A checkpoint of ours as a Llama of transformers: two roads, one number."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from hf_models import in_float64 as transformers_in_float64
from model_fixtures import in_float64, random_update
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from zsl.checkpoints.errors import CheckpointError
from zsl.checkpoints.export import export
from zsl.cli import main
from zsl.errors import TrainingError
from zsl.files import sha256, write_json
from zsl.measurements.first_order import first_order
from zsl.measurements.gradient_opposition import opposition
from zsl.models.base import every_token
from zsl.models.families import family_of
from zsl.models.hf.adapter import Causal
from zsl.models.olmo.architecture import load_model
from zsl.models.olmo.as_llama import renamed
from zsl.models.olmo.build import build_model
from zsl.training.checkpoint import TrainingState, save_checkpoint
from zsl.training.model import make_optimizer
from zsl.training.step import token_losses

__all__ = ["in_float64", "random_update"]
PIECES = {"chunk": 4, "tile_bytes": 1000}
BOUND = {torch.float64: 1e-10, torch.float32: 1e-5}
END = "<|endoftext|>"


@pytest.fixture
def write(make_run, tokens, tokenizer):
    """A function that trains a tiny model for a few steps and writes its checkpoint."""

    def make(folder, tied=True):
        model = {"d_model": 16, "n_layers": 2, "n_heads": 2, "weight_tying": tied}
        run = make_run(model=model, optimizer={"learning_rate": 5e-2})
        built = build_model(run, tokenizer)
        optimizer = make_optimizer(run, built)
        for step in range(8):
            ids = torch.from_numpy(tokens.batch(np.arange(4 * step, 4 * step + 4)))
            optimizer.zero_grad()
            token_losses(built(ids).logits, ids).mean().backward()
            optimizer.step()
        save_checkpoint(folder, built, optimizer, TrainingState(8, 32, 384))
        return folder

    return make


@pytest.fixture
def input_ids(tokens):
    """Sequences that are as long as the model can read, of tokens that were not seen."""
    return torch.from_numpy(tokens.batch(np.arange(60, 63)))


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def folders(request, write, tmp_path):
    """The checkpoint and what is made of it."""
    folder = write(tmp_path / "step00000008", request.param)
    export(folder, tmp_path / "llama")
    return folder, tmp_path / "llama"


@pytest.fixture(params=[torch.float64, torch.float32], ids=str)
def roads(request, folders, monkeypatch, in_float64):
    """The model by both roads, and a function that says that tensors agree."""
    ours, theirs = load_model(folders[0]), family_of(folders[1]).load_model(folders[1])
    assert isinstance(theirs, Causal) and ours.tied == theirs.tied
    if request.param == torch.float64:
        ours = in_float64(ours)
        theirs = Causal(transformers_in_float64(theirs._whole, monkeypatch.setattr))

    def agree(found, expected):
        difference = (torch.as_tensor(found) - torch.as_tensor(expected)).abs().max()
        size = torch.as_tensor(expected).abs().max()
        assert size > 0 and difference <= BOUND[request.param] * size

    return ours, theirs, agree


def agree_by_weight(ours, found, expected, agree):
    """``found`` by transformers' names of all weights, ``expected`` by ours."""
    expected = renamed(ours.config, expected)
    assert {name for name in found.keys() - expected.keys() if "norm" not in name} == set()
    for name, value in expected.items():
        agree(found[name], value)


def of_llama(ours, theirs, update):
    """An update of ours, of the weights of the Llama: none of the norms."""
    nothing = {name: torch.zeros_like(weight) for name, weight in theirs.named_parameters()}
    return {**nothing, **renamed(ours.config, update)}


def test_token_losses(roads, input_ids):
    ours, theirs, agree = roads
    with torch.no_grad():
        found = token_losses(theirs.logits(theirs.hidden(input_ids)), input_ids)
        agree(found, token_losses(ours(input_ids).logits, input_ids))


def test_the_proxy(roads, input_ids):
    ours, theirs, agree = roads
    found, expected = opposition(theirs, input_ids, 2), opposition(ours, input_ids, 2)
    for what in ("total", "absolute"):
        sums = [{n: getattr(s, what) for n, s in road.items()} for road in (found, expected)]
        agree_by_weight(ours, *sums, agree)


def test_exact_sums(roads, input_ids, random_update):
    ours, theirs, agree = roads
    found, expected = (
        model.exact_gradients().absolute_sums(input_ids, **PIECES) for model in (theirs, ours)
    )
    agree_by_weight(ours, found, expected, agree)
    update, tokens = random_update(ours), every_token(input_ids)[::3]
    updates = {ours: update, theirs: of_llama(ours, theirs, update)}
    found, expected = (
        model.exact_gradients().token_sums(input_ids, tokens, updates[model], **PIECES)[0]
        for model in (theirs, ours)
    )
    agree(found, expected)


def test_first_order_changes(roads, input_ids, random_update):
    ours, theirs, agree = roads
    update = random_update(ours)
    found = first_order(theirs, input_ids, of_llama(ours, theirs, update), 2)
    agree(found, first_order(ours, input_ids, update, 2))


def logits_of(folder, input_ids):
    from transformers import AutoModelForCausalLM

    found, told = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(told.values()) and type(found).__name__ == "LlamaForCausalLM"
    assert found.dtype == torch.float32
    with torch.no_grad():
        return found.eval()(input_ids).logits


def test_transformers_alone_makes_the_same_logits(folders, input_ids):
    with torch.no_grad():
        expected = load_model(folders[0])(input_ids).logits
    torch.testing.assert_close(logits_of(folders[1], input_ids), expected, rtol=1e-5, atol=1e-5)


def changed(folder, weights=(), **settings):
    """Change settings of a checkpoint, and weights that follow from them."""
    values = yaml.safe_load((folder / "config.yaml").read_text())
    values["model"].update(settings)
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    if weights:
        tensors = load_file(folder / "model.safetensors")
        save_file({**tensors, **dict(weights)}, folder / "model.safetensors")
    (folder / "state.json").unlink(missing_ok=True)


def test_what_else_a_llama_computes(write, tmp_path, input_ids):
    """Another theta and epsilon, grouped heads, a hidden size of its own, weights of norms."""
    folder = write(tmp_path / "a")
    weights = {}
    for block in (f"transformer.blocks.{i}" for i in range(2)):
        weights[f"{block}.att_proj.weight"] = torch.randn(32, 16)
        weights[f"{block}.ff_proj.weight"] = torch.randn(20, 16)
        weights[f"{block}.ff_out.weight"] = torch.randn(16, 10)
        weights |= {f"{block}.{n}_norm.weight": torch.randn(16) for n in ("attn", "ff")}
    weights["transformer.ln_f.weight"] = torch.randn(16)
    settings = {"rope_theta": 50, "layer_norm_eps": 0.1, "mlp_hidden_size": 20, "n_kv_heads": 1}
    changed(folder, weights.items(), **settings, layer_norm_with_affine=True)
    export(folder, tmp_path / "out")
    with torch.no_grad():
        expected = load_model(folder)(input_ids).logits
    torch.testing.assert_close(
        logits_of(tmp_path / "out", input_ids), expected, rtol=1e-4, atol=1e-4
    )


REFUSED = {
    "activation_type": {"activation_type": "gelu", "mlp_ratio": 2},
    "rope": {"rope": False},
    "alibi": {"rope": False, "alibi": True},
    "layer_norm_type": {"layer_norm_type": "default"},
    "norm_after": {"norm_after": True},
    "attention_layer_norm": {
        "attention_layer_norm": True,
        "attention_layer_norm_with_affine": False,
    },
    "embedding_layer_norm": {"embedding_layer_norm": True},
    "include_bias": {"include_bias": True},
    "bias_for_layer_norm": {"layer_norm_with_affine": True, "bias_for_layer_norm": True},
    "clip_qkv": {"clip_qkv": 8.0},
    "scale_logits": {"scale_logits": True},
    "block_group_size": {"block_group_size": 2},
    "block_type": {"block_type": "llama"},
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_no_llama_computes_is_refused(tmp_path, key, make_run, tokenizer):
    from olmo.config import ModelConfig
    from omegaconf import OmegaConf as om

    from zsl.models.olmo.adapter import Olmo
    from zsl.models.olmo.build import model_config

    run = make_run()
    values = om.to_container(om.structured(model_config(run.model, 12, tokenizer)))
    config = om.to_object(om.merge(om.structured(ModelConfig), {**values, **REFUSED[key]}))
    model = Olmo(config)
    save_checkpoint(
        tmp_path / "a", model, torch.optim.SGD(model.parameters()), TrainingState(0, 0, 0)
    )
    with pytest.raises(CheckpointError, match=rf"a/config\.yaml: no Llama.*\b{key} is "):
        export(tmp_path / "a", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.fixture
def project(write, tmp_path):
    """A checkpoint in its folder of results, with tokenizer and lineage record."""
    results = tmp_path / "results/tiny"
    folder = write(results / "training/main-a/00000000-00000008/step00000008")
    words = {END: 0, **{chr(96 + i): i for i in range(1, 20)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=END))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    data = results / "data/letters"
    data.mkdir(parents=True)
    tokenizer.save(str(data / "tokenizer.json"))
    write_json(data / "manifest.json", {"tokenizer_sha256": sha256(data / "tokenizer.json")})
    files = {path.name: sha256(path) for path in folder.iterdir()}
    entry = {"kind": "file", "size": 1}
    write_json(
        results / "lineage/training/main-a/00000000-00000008.json",
        {
            "schema": 1,
            "path": "results/tiny/lineage/training/main-a/00000000-00000008.json",
            "rule": "train",
            "code": {"script": "a.py", "fingerprint": "0" * 64, "modules": {}},
            "time": {"start": "2026-01-01T00:00:00", "end": "2026-01-01T00:00:01"},
            "inputs": [
                {
                    **entry,
                    "path": "results/tiny/data/letters/manifest.json",
                    "sha256": sha256(data / "manifest.json"),
                }
            ],
            "outputs": [
                {
                    "kind": "folder",
                    "size": 1,
                    "path": "results/tiny/training/main-a/00000000-00000008",
                    "sha256": "0" * 64,
                    "files": {f"step00000008/{name}": digest for name, digest in files.items()},
                }
            ],
        },
    )
    return folder


def test_the_run_gives_tokenizer_and_lineage(project, tmp_path, capsys):
    from transformers import AutoTokenizer

    out = tmp_path / "out"
    assert main(["export", str(project), "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    results = tmp_path / "results/tiny"
    assert sha256(out / "tokenizer.json") == sha256(results / "data/letters/tokenizer.json")
    found = AutoTokenizer.from_pretrained(out)
    assert found("b a c")["input_ids"] == [2, 1, 3] and found.eos_token_id == 0
    assert json.loads((out / "generation_config.json").read_text())["eos_token_id"] == 0
    card = (out / "README.md").read_text()
    record = "lineage/training/main-a/00000000-00000008.json"
    step = "training/main-a/00000000-00000008/step00000008"
    for path in (record, f"{step}/model.safetensors", f"{step}/config.yaml"):
        assert f"| `results/tiny/{path}` | `{sha256(results / path)}` |" in card
    assert str(tmp_path) not in card


def other_weights(project):
    path = project / "model.safetensors"
    tensors = load_file(path)
    tensors["transformer.wte.weight"][0, 0] += 1
    save_file(tensors, path)


def other_weights_alone(project):
    other_weights(project)
    (project / "state.json").unlink()


def other_tokenizer(project):
    path = project.parents[3] / "data/letters/tokenizer.json"
    path.write_text(path.read_text().replace('"a"', '"z"'))


def other_manifest(project):
    path = project.parents[3] / "data/letters/manifest.json"
    write_json(path, {**json.loads(path.read_text()), "a": 1})


def no_record(project):
    (project.parents[3] / "lineage/training/main-a/00000000-00000008.json").write_text("{}")


HARM = {
    other_weights: r"model\.safetensors: is not the file that .*state\.json tells of",
    other_weights_alone: r"model\.safetensors: is not the file that .*00000008\.json tells of",
    other_tokenizer: r"tokenizer\.json: is not the tokenizer that the run was trained with",
    other_manifest: r"tokenizer\.json: is not the tokenizer that the run was trained with",
    no_record: r"00000000-00000008\.json: is no lineage record",
}


@pytest.mark.parametrize("harm", HARM, ids=lambda harm: harm.__name__)
def test_what_is_not_what_its_digest_says_is_named(project, tmp_path, harm):
    harm(project)
    with pytest.raises(CheckpointError, match=HARM[harm]):
        export(project, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_whole_or_not_at_all(project, tmp_path, monkeypatch):
    big = tmp_path / "tokenizer.json"
    Tokenizer(models.WordLevel({"a": 0, "b": 24}, unk_token="a")).save(str(big))
    with pytest.raises(CheckpointError, match="has the id 24, and the model 24 rows"):
        export(project, tmp_path / "out", big)
    with pytest.raises(TrainingError, match="no such folder"):
        export(tmp_path / "nothing", tmp_path / "out")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("zsl.checkpoints.export.shutil.copyfile", full)
        with pytest.raises(CheckpointError, match=r"out: cannot be written.*No space"):
            export(project, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "tokenizer.json"]
    export(project, tmp_path / "out")
    shutil.copytree(tmp_path / "out", tmp_path / "before")
    with pytest.raises(CheckpointError, match="out: exists"):
        export(project, tmp_path / "out")
    export(project, tmp_path / "again")
    for path in (tmp_path / "before").iterdir():
        for folder in ("out", "again"):
            assert (tmp_path / folder / path.name).read_bytes() == path.read_bytes()
