"""``zsl measure`` of folders that transformers wrote."""

import h5py
import numpy as np
import pytest
import torch
from hf_models import make
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from zsl.cli import main
from zsl.config.measurements import Measurements

NAMES = ("GPT-NeoX, parallel", "GPT-2", "Llama", "OLMo 2")


def write(folder, name, seed=0, **how):
    """A checkpoint as ``Trainer`` leaves it behind, in half precision and in parts."""
    model = make(name, seed).half()
    model.save_pretrained(folder, max_shard_size="2KB", **how)
    letters = {chr(97 + i): i for i in range(20)}
    words = Tokenizer(models.WordLevel(letters, unk_token="a"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="a").save_pretrained(folder)
    return model


def pickle(folder):
    """Rewrite the weights as one file of torch.save."""
    from safetensors.torch import load_file

    parts = sorted(folder.glob("model*.safetensors"))
    tensors = {name: t for part in parts for name, t in load_file(part).items()}
    torch.save(tensors, folder / "pytorch_model.bin")
    for path in (*parts, folder / "model.safetensors.index.json"):
        path.unlink()


@pytest.fixture(params=NAMES)
def files(request, tmp_path):
    """Two checkpoints, the second a pickle, and tokens."""
    for step in (1, 2):
        write(tmp_path / f"checkpoint-{step}", request.param, seed=step)
    pickle(tmp_path / "checkpoint-2")
    np.save(tmp_path / "eval.npy", np.random.default_rng(0).integers(20, size=(9, 12)))
    return tmp_path


def zsl(files, measurement, *more, tokens=True):
    given = ["--checkpoint", files / "checkpoint-1", "--out", files / "out.h5", *more]
    given += ["--tokens", files / "eval.npy"] if tokens else []
    return main(["measure", measurement, *map(str, given)])


def read(files):
    with h5py.File(files / "out.h5") as file:
        group = file["step00000001"]
        return {name: d[()] for name, d in group.items() if isinstance(d, h5py.Dataset)}


def losses(folder, ids):
    """By transformers alone."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = model(ids).logits[:, :-1]
    return torch.nn.functional.cross_entropy(logits.mT, ids[:, 1:], reduction="none").numpy()


def test_losses_and_their_changes(files):
    ids = torch.from_numpy(np.load(files / "eval.npy"))
    before, after = (losses(files / f"checkpoint-{step}", ids) for step in (1, 2))
    assert zsl(files, "token_losses") == 0
    np.testing.assert_allclose(read(files)["token_losses"], before, atol=1e-5)
    (files / "out.h5").unlink()
    assert zsl(files, "delta_loss", "--next", files / "checkpoint-2") == 0
    np.testing.assert_allclose(read(files)["delta_loss"], after - before, atol=1e-5)


@pytest.mark.parametrize("measurement", ["gradient_opposition", "token_gradients", "cross_section"])
def test_gradients_and_updates(files, measurement):
    along = ("--next", files / "checkpoint-2") if measurement != "gradient_opposition" else ()
    assert zsl(files, measurement, *along) == 0
    found = read(files)
    assert all(np.isfinite(value).all() for value in found.values())
    if measurement == "token_gradients":
        product = found["C_g"] * found["C_uG"] / found["C_ug"]
        assert 1 - found["D_first_order"] == pytest.approx(product, rel=1e-3)


@pytest.mark.parametrize("files", ["GPT-2"], indirect=True)
def test_questions_by_its_own_tokenizer(files, monkeypatch):
    few = Measurements(downstream={"items": 6})
    monkeypatch.setattr("zsl.measure.given.Measurements", lambda: few)
    asked = ("--tokenizer", files / "checkpoint-1", "--tasks", "sciq")
    assert zsl(files, "downstream", *asked, tokens=False) == 0
    with h5py.File(files / "out.h5") as file:
        found = file["step00000001/sciq/log_likelihood"][:]
    assert found.shape[0] == 6 and np.isfinite(found).all() and (found < 0).all()


@pytest.mark.parametrize("files", ["GPT-2"], indirect=True)
def test_two_architectures_have_no_update_between_them(files, capsys):
    write(files / "checkpoint-3", "Llama")
    assert zsl(files, "delta_loss", "--next", files / "checkpoint-3") == 1
    assert "name two checkpoints of one run" in capsys.readouterr().err
