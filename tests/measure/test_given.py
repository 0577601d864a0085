"""What ``zsl measure`` refuses: in one line, before torch is imported, with nothing written."""

import gzip
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from zsl.measure.given import step_of

MODEL = {"d_model": 8, "n_layers": 2, "max_sequence_length": 12, "vocab_size": 20}


def checkpoint(folder, **settings):
    folder.mkdir(parents=True)
    model = {**MODEL, "embedding_size": 24, **settings}
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": model}))
    save_file({"x": torch.zeros(1)}, folder / "model.safetensors")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two checkpoints by their looks, and token files."""
    monkeypatch.chdir(tmp_path)
    checkpoint(tmp_path / "run/step1")
    checkpoint(tmp_path / "run/step2", init_device="meta", attention_dropout=0.1)
    checkpoint(tmp_path / "other/step2", rope_theta=500_000, n_layers=3)
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf/config.json").write_text('{"model_type": "gpt_neox"}')
    (tmp_path / "hf_olmo").mkdir()
    (tmp_path / "hf_olmo/config.json").write_text('{"model_type": "hf_olmo"}')
    checkpoint(tmp_path / "torn/step1")
    torn = tmp_path / "torn/step1/model.safetensors"
    torn.write_bytes(torn.read_bytes()[:-2])
    checkpoint(tmp_path / "pickled")
    torch.save({}, tmp_path / "pickled/model.safetensors")
    np.save("ids.npy", np.ones((3, 12), np.uint16))
    np.save("flat.npy", np.ones(36, np.uint16))
    np.save("int16.npy", np.array([[50_000] * 12]).astype(np.uint16).view(np.int16))
    np.save("labels.npy", np.array([[1] * 10 + [-100] * 2]))
    np.save("floats.npy", np.ones((3, 12)))
    np.save("long.npy", np.ones((3, 13), int))
    np.save("large.npy", np.full((3, 12), 24))
    np.save("batches.npy", np.ones((2, 3, 12), int))
    (tmp_path / "ids.npy.gz").write_bytes(gzip.compress((tmp_path / "ids.npy").read_bytes()))
    np.savez("many.npz", a=np.ones((3, 12), int))
    np.ones(36, np.uint16).tofile("train.bin")
    (tmp_path / "there.h5").write_text("mine")
    (tmp_path / "tokenizer.json").write_text("{}")
    return tmp_path


A, NEXT, IDS = "--checkpoint run/step1", "--next run/step2", "--tokens ids.npy"
REFUSED = {
    f"delta_loss {A} {IDS}": "needs the checkpoint that follows: give --next",
    f"delta_loss {A} {NEXT}": "needs a NumPy file of token ids (sequences, positions): give --tok",
    f"delta_loss {A} --next run/../run/step1/ {IDS}": "is the checkpoint itself",
    f"delta_loss {A} --next other/step2 {IDS}": "has n_layers = 3, that of ",
    f"delta_loss {A} --next run/step3 {IDS}": "run/step3: no such folder",
    f"delta_loss {A} {NEXT} {IDS} --batches batches.npy": "makes no use of --batches",
    f"downstream {A}": "needs the model's tokenizers file: give --tokenizer",
    f"downstream {A} {IDS} --tokenizer tokenizer.json": "downstream makes no use of --tokens",
    f"downstream {A} --tokenizer none.json": "none.json: not a tokenizers JSON file",
    f"token_losses {A} {IDS} {NEXT}": "token_losses makes no use of --next",
    f"token_losses {A} {IDS} --tasks piqa": "token_losses makes no use of --tasks",
    f"token_gradients {A} {IDS}": "or give --next",
    f"token_losses --checkpoint run {IDS}": "there is one in run/step2",
    f"token_losses --checkpoint run/step1/model.safetensors {IDS}": "is a file; name the folder",
    f"token_losses --checkpoint run/none {IDS}": "run/none: no such folder",
    f"token_losses --checkpoint hf {IDS}": "hf: holds no weights; model.safetensors or pytorch_mo",
    f"token_losses --checkpoint hf_olmo {IDS}": "hf_olmo: a checkpoint of transformers (model_",
    f"token_losses --checkpoint torn/step1 {IDS}": "torn/step1/model.safetensors: damaged",
    f"token_losses --checkpoint pickled {IDS}": "no safetensors, but a zip, such as torch.save",
    f"token_losses {A} --tokens none.npy": "none.npy: no such file",
    f"token_losses {A} --tokens flat.npy": "reshape(-1, positions) cuts",
    f"token_losses {A} --tokens batches.npy": "(sequences, positions) is needed",
    f"token_losses {A} --tokens int16.npy": "int16 has no room for ids above 32,767",
    f"token_losses {A} --tokens labels.npy": "-100 marks what a loss leaves out",
    f"token_losses {A} --tokens floats.npy": "no array of integers but of float64",
    f"token_losses {A} --tokens long.npy": "long.npy: evaluation sequences have 13 tokens, the mod",
    f"token_losses {A} --tokens large.npy": "the model's embedding has 24 rows",
    f"token_losses {A} --tokens many.npz": "an archive; save one array",
    f"downstream {A} --tokenizer hf": "tokenizer 'hf' is a folder without tokenizer.json",
    f"token_losses {A} --tokens ids.npy.gz": "but a compressed file: decompress it",
    f"token_losses {A} --tokens train.bin": "is read with numpy.memmap first",
    f"token_losses {A} {IDS} --out there.h5": "there.h5: exists already",
    f"token_losses {A} {IDS} --out there.h5/x.h5": "is no folder to write to",
}
SCRIPT = """
import sys
from zsl.cli import main
for line in sys.stdin:
    print(main(["measure", *line.split()]), "torch" in sys.modules, file=sys.stderr)
"""


def test_wrong_use_is_said_in_a_line_before_torch_is_imported(files):
    before = {path: path.read_bytes() for path in files.rglob("*") if path.is_file()}
    lines = [line if "--out" in line else f"{line} --out out.h5" for line in REFUSED]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
        cwd=files,
    )
    said = done.stderr.splitlines()
    assert said[1::2] == ["1 False"] * len(REFUSED)
    for (line, message), got in zip(REFUSED.items(), said[::2], strict=True):
        assert message in got, line
    assert {path: path.read_bytes() for path in files.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("step00004096", 4096),
        ("step1000-unsharded", 1000),
        ("step0", 0),
        ("checkpoint-500", 500),
        ("global_step12000", 12000),
        ("iter_0005000", 5000),
        ("ckpt_7", 7),
        ("step123456789", 0),
        ("latest", 0),
        ("14M", 0),
    ],
)
def test_the_step_is_read_from_a_folder_s_name(tmp_path, name, step):
    assert step_of(tmp_path / name) == step
