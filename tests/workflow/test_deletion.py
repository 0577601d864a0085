"""Deleted intermediates: not missed by ``all``, made again by name, and what follows then.

Snakemake compares the content of inputs of up to 1 MB (``--max-checksum-file-size``) before it
trusts their times: a small file that came back with the same bytes makes nothing else again, a
large one makes again all that follows from it. A segment is judged by its manifest, which is
small, whatever the size of its checkpoints.
"""

from __future__ import annotations

import shutil

import pytest

from zsl import registry

FIRST, LAST = "00000000-00000032", "00000032-00000064"
FROM_DELTA_LOSS = {
    *(f"curves/{kind}/main-small" for kind in ("delta_loss", "token_changes")),
    *(f"figures/{figure}" for figure in ("fig01", "fig03", "fig05")),
}
FROM_FIT = {f"{target.kind}s/{target.id}" for target in registry.TARGETS if "fits" in target.inputs}
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
    *(
        f"measurements/{kind}/main-small/{segment}"
        for kind in ("gradient_opposition", "token_gradients", "single_step", "cross_section")
        for segment in (FIRST, LAST)
    ),
    *(
        f"curves/{kind}/main-small"
        for kind in (
            *("gradient_opposition", "gradient_histograms", "token_gradients", "single_step"),
            *("cross_section", "landscapes", "token_landscapes"),
        )
    ),
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
