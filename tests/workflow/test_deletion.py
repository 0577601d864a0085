"""Deleted intermediates: not missed by ``all``, made again by name, and what follows then.

Snakemake compares the content of inputs of up to 1 MB (``--max-checksum-file-size``) before it
trusts their times: a small file that came back with the same bytes makes nothing else again, a
large one makes again all that follows from it. A segment is judged by its manifest, which is
small, whatever the size of its checkpoints.
"""

from __future__ import annotations

import shutil

import pytest
from job_graph import graph_of

FIRST = "00000000-00000016"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "suffix"),
    [
        (f"measurements/token_losses/main-small/{FIRST}", ".h5"),
        ("curves/train_loss/main-small", ".csv"),
        (f"training/main-small/{FIRST}", ""),
    ],
    ids=["measurement", "curve", "checkpoints"],
)
def test_a_deleted_intermediate(project, job, suffix):
    before = project.artifacts()
    path = project.results / f"{job}{suffix}"
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert project.planned() == set()
    assert project.made(f"results/tiny/{job}{suffix}") == {job}
    assert project.artifacts() == before
    assert project.planned() == set()
    # Were they larger than that, this would follow:
    follows = graph_of(project.configuration()).after({job}) - {job}
    assert project.planned("--max-checksum-file-size", "0") == follows & project.records().keys()
