"""Deleted intermediates: not missed by ``all``, made again by name, and what follows then.

Snakemake compares inputs of up to 1 MB (``--max-checksum-file-size``) by content before it
trusts their times, so that a file that came back with the same bytes makes nothing else again.
"""

from __future__ import annotations

import shutil

import pytest

SEGMENT = "00000000-00000032"


@pytest.mark.parametrize(
    ("deleted", "job"),
    [
        (f"measurements/token_losses/main-small/{SEGMENT}.h5",) * 2,
        ("curves/train_loss/main-small.csv",) * 2,
        (f"training/main-small/{SEGMENT}", f"training/main-small/{SEGMENT}"),
    ],
    ids=["measurement", "curve", "checkpoints"],
)
def test_a_deleted_intermediate(project, deleted, job):
    before = project.artifacts()
    path = project.results / deleted
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert project.planned() == set()
    assert project.made(f"results/tiny/{deleted}") == {job.removesuffix(".h5").removesuffix(".csv")}
    assert project.artifacts() == before
    assert project.planned() == set()
