"""A flipped bit or a cut file is noticed by the job that would read it, before a result is made.

Each row: what is damaged, by what, and which job reads it next. The job has to fail, name the file,
and say what to delete; when that is done, the next run ends with the bytes of before.
"""

from __future__ import annotations

import re
import shutil

import pytest
from harm import cut, flip

FIRST = "00000000-00000016"
CHECKPOINTS = f"training/main-small/{FIRST}"
STEP = f"{CHECKPOINTS}/step00000016"
LOSSES = f"measurements/token_losses/main-small/{FIRST}.h5"


ROWS = {
    "a bit of a checkpoint's weights, measured": (f"{STEP}/model.safetensors", flip, LOSSES),
    "a cut checkpoint, measured": (f"{STEP}/model.safetensors", cut, LOSSES),
    "a bit of an optimizer's state, measured": (
        f"{STEP}/optim.safetensors",
        flip,
        f"measurements/single_step/main-small/{FIRST}.h5",
    ),
    "a bit of a checkpoint, trained on": (
        "training/main-small/00000000-00000016/step00000016/optim.safetensors",
        flip,
        "training/main-small/00000016-00000032",
    ),
    "a bit of the training tokens": ("data/invented/tokens/train-00000.bin", flip, CHECKPOINTS),
    "a bit of the evaluation tokens": ("data/invented/tokens/eval-00000.bin", flip, LOSSES),
    "cut training tokens": ("data/invented/tokens/train-00000.bin", cut, CHECKPOINTS),
    "a bit of an HDF5 file": (LOSSES, flip, f"measurements/delta_loss/main-small/{FIRST}.h5"),
    "a cut HDF5 file": (LOSSES, cut, f"measurements/delta_loss/main-small/{FIRST}.h5"),
    "a bit of a curve": ("curves/train_loss/main-small.csv", flip, "fits/main-small.json"),
    "a bit of a fit": ("fits/main-small.json", flip, "tables/table1.csv"),
}


def remove(path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize(("damaged", "harm", "reader"), ROWS.values(), ids=ROWS)
def test_damage_is_noticed_by_what_reads_it(
    project, fails, ends_as_undisturbed, damaged, harm, reader
):
    path = project.results / damaged
    harm(path)
    remove(project.results / reader)
    said = fails(f"results/tiny/{reader}")
    assert f"results/tiny/{damaged}" in said
    assert not (project.results / reader).exists()
    audit = project.zsl("audit")
    assert audit.returncode == 1
    assert "altered" in audit.stdout and path.name in audit.stdout

    told = re.search(r"[dD]elete (\S+) and run again", said)
    assert told, said
    found = path if told[1] == "it" else project.root / told[1]
    remove(found)
    ends_as_undisturbed(project, f"results/tiny/{reader}")
