"""Deleted intermediates: not missed by ``all``, made again by name, and what follows then.

Snakemake compares the content of inputs of up to 1 MB (``--max-checksum-file-size``) before it
trusts their times: a small file that came back with the same bytes makes nothing else again, a
large one makes again all that follows from it. A segment is judged by its manifest, which is
small, whatever the size of its checkpoints.
"""

from __future__ import annotations

import shutil

import pytest

FIRST, LAST = "00000000-00000032", "00000032-00000064"
FROM_DELTA_LOSS = {"curves/delta_loss/main-small", "figures/fig03", "figures/fig05"}
FROM_FIT = {f"figures/fig{number}" for number in ("02", "03", "04", "05", "12")} | {
    "tables/table1",
    "tables/table4",
}
FROM_TOKEN_LOSSES = {
    f"measurements/delta_loss/main-small/{FIRST}",
    f"measurements/delta_loss/main-small/{LAST}",
    "curves/eval_loss/main-small",
    "tables/table2",
    *FROM_DELTA_LOSS,
}
FROM_TRAIN_LOSS = {"fits/main-small", "figures/fig13", *FROM_FIT}
FROM_CHECKPOINTS = {
    f"training/main-small/{LAST}",
    f"measurements/token_losses/main-small/{FIRST}",
    f"measurements/token_losses/main-small/{LAST}",
    f"measurements/gradient_opposition/main-small/{FIRST}",
    f"measurements/gradient_opposition/main-small/{LAST}",
    "curves/gradient_opposition/main-small",
    "curves/gradient_histograms/main-small",
    "curves/train_loss/main-small",
    *FROM_TOKEN_LOSSES,
    *FROM_TRAIN_LOSS,
}


@pytest.mark.parametrize(
    ("job", "suffix", "follows"),
    [
        (f"measurements/token_losses/main-small/{FIRST}", ".h5", FROM_TOKEN_LOSSES),
        ("curves/train_loss/main-small", ".csv", FROM_TRAIN_LOSS),
        (f"training/main-small/{FIRST}", "", FROM_CHECKPOINTS),
    ],
    ids=["measurement", "curve", "checkpoints"],
)
def test_a_deleted_intermediate(project, job, suffix, follows):
    before = project.artifacts()
    path = project.results / f"{job}{suffix}"
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert project.planned() == set()
    assert project.made(f"results/tiny/{job}{suffix}") == {job}
    assert project.artifacts() == before
    assert project.planned() == set()
    # Were they larger than that, this would follow:
    assert project.planned("--max-checksum-file-size", "0") == follows
