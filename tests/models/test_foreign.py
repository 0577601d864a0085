"""Checkpoints of others, written with the programs that write them."""

import pytest
import torch
from olmo.safetensors_util import state_dict_to_safetensors_file
from safetensors.torch import load_file, save_file

from zsl.errors import TrainingError
from zsl.models.foreign import plain_names
from zsl.models.olmo.architecture import load_model
from zsl.models.olmo.build import build_model
from zsl.training.checkpoint import TrainingState, save_checkpoint

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


@pytest.fixture
def model(make_run, tokenizer):
    return build_model(make_run(), tokenizer)


@pytest.fixture
def folder(model, tmp_path):
    """A checkpoint of ours."""
    optimizer = torch.optim.SGD(model.parameters())
    save_checkpoint(tmp_path / "step1", model, optimizer, TrainingState(0, 0, 0))
    return tmp_path / "step1"


class Held(torch.nn.Module):
    """A model held as ``hf_olmo`` holds it."""

    def __init__(self, model):
        super().__init__()
        self.model = model


WRAPPED = {
    "_orig_mod.": torch.compile,
    "module.": torch.nn.DataParallel,
    "_orig_mod.module.": lambda model: torch.compile(torch.nn.DataParallel(model)),
    "module._orig_mod.": lambda model: torch.nn.DataParallel(torch.compile(model)),
    "model.": Held,
}


def loads(folder, model):
    """Whether a folder is read as this model, weight by weight, both ways."""
    expected = {name: weight.clone() for name, weight in model.state_dict().items()}
    loaded = load_model(folder).state_dict()
    other = load_model(folder)
    for weight in other.parameters():
        torch.nn.init.zeros_(weight)
    other.load(folder)
    for found in (loaded, other.state_dict()):
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("prefix", WRAPPED)
def test_weights_saved_from_a_wrapped_model_are_read(model, folder, prefix):
    state = WRAPPED[prefix](model).state_dict()
    assert all(name.startswith(prefix + "transformer.") for name in state)
    save_file(state, folder / "model.safetensors")
    loads(folder, model)


def test_blocks_compiled_one_by_one_are_read(model, folder):
    blocks = model.transformer.blocks
    whole = {name: weight.clone() for name, weight in model.state_dict().items()}
    blocks[0] = torch.compile(blocks[0])
    state = model.state_dict()
    assert any(".blocks.0._orig_mod." in name for name in state) and state.keys() != whole.keys()
    save_file(state, folder / "model.safetensors")
    blocks[0] = blocks[0]._orig_mod
    loads(folder, model)


def test_olmos_own_safetensors_are_read(model, folder):
    state_dict_to_safetensors_file(model.state_dict(), folder / "model.safetensors")
    assert all(name.startswith("gAS") for name in load_file(folder / "model.safetensors"))
    loads(folder, model)


def test_a_weight_that_is_there_twice_is_refused(tmp_path):
    names = ["transformer.a", "_orig_mod.transformer.a"]
    with pytest.raises(TrainingError, match=r"holds transformer\.a as transformer\.a and as _orig"):
        plain_names(names, tmp_path)


def transformers_folder(folder):
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    small = GPTNeoXConfig(
        vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    GPTNeoXForCausalLM(small).save_pretrained(folder)


def pickled(folder, name):
    (folder / "model.safetensors").rename(folder / "weights")
    torch.save(load_file(folder / "weights"), folder / name)
    (folder / "weights").unlink()


def sharded(folder):
    import torch.distributed.checkpoint as distributed

    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    distributed.save({"model": state}, checkpoint_id=folder / "model_and_optim", no_dist=True)


OTHERS = {
    "transformers": (transformers_folder, r"checkpoint of transformers \(model_type 'gpt_neox'\)"),
    "OLMo's model.pt": (lambda f: pickled(f, "model.pt"), r"holds model\.pt, a pickle.*save_file"),
    "pytorch_model.bin": (lambda f: pickled(f, "pytorch_model.bin"), "holds pytorch_model.bin, a"),
    "nanoGPT's ckpt.pt": (lambda f: pickled(f, "ckpt.pt"), r"holds ckpt\.pt, a pickle"),
    "shards": (sharded, r"sharded checkpoint; unshard it with OLMo's scripts/unshard\.py"),
    "a pointer": (
        lambda f: (f / "model.safetensors").write_bytes(POINTER),
        r"model\.safetensors: no safetensors, but a pointer of Git LFS.*git lfs pull",
    ),
    "torch.save": (
        lambda f: torch.save({"a": torch.zeros(2)}, f / "model.safetensors"),
        r"model\.safetensors: no safetensors, but a zip, such as torch\.save",
    ),
    "nothing": (lambda f: (f / "model.safetensors").unlink(), r"model\.safetensors: no such file"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_no_checkpoint_of_olmo_is_named(folder, tmp_path, what):
    make, said = OTHERS[what]
    if what == "transformers":
        folder = tmp_path / "other"
    make(folder)
    with pytest.raises(TrainingError, match=said):
        load_model(folder)


def test_a_file_or_nothing_in_place_of_a_folder_is_named(folder):
    with pytest.raises(TrainingError, match="is a file; name the folder"):
        load_model(folder / "model.safetensors")
    with pytest.raises(TrainingError, match="no such folder"):
        load_model(folder / "none")
