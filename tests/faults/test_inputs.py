"""An input that changes while a job reads it: the job fails, and records nothing."""

from __future__ import annotations

import pytest

FIRST = "00000000-00000016"
CHANGE = """
    from pathlib import Path

    changed = Path({path})
    changed.write_bytes(changed.read_bytes()[::-1])
"""
TOKENS = "results/tiny/data/invented/tokens/train-00000.bin"
WEIGHTS = f"results/tiny/training/main-small/{FIRST}/step00000016/model.safetensors"
CURVE = "results/tiny/curves/train_loss/main-small.csv"

ROWS = {
    "text": ("tokens", "text/1.txt", "data/invented/manifest.json"),
    "tokens": ("train", TOKENS, f"training/main-small/{FIRST}.manifest.json"),
    "a checkpoint": ("measure", WEIGHTS, f"measurements/token_losses/main-small/{FIRST}.h5"),
    "a curve": ("fit", CURVE, "fits/main-small.json"),
}


@pytest.mark.parametrize(("script", "path", "made"), ROWS.values(), ids=ROWS)
def test_an_input_that_changes_during_a_job(
    project, fails, ends_as_undisturbed, script, path, made
):
    file = project.root / f"workflow/scripts/{script}.py"
    original, before = file.read_text(), (project.root / path).read_bytes()
    block, end, rest = original.partition("\nkeep_finished(state)\n")
    file.write_text(block.rstrip() + CHANGE.format(path=repr(path)) + end + rest)

    said = fails(f"results/tiny/{made}")
    assert f"{path} changed while this job read it" in said
    assert not (project.results / made).exists()
    artifact = made.replace(".manifest", "") if script == "train" else made
    assert not (project.results / "lineage" / artifact).with_suffix(".json").exists()

    file.write_text(original)
    (project.root / path).write_bytes(before)
    ends_as_undisturbed(project, f"results/tiny/{made}")
