"""Checkpoints of finished segments: read where they are those of their manifest, kept over a death.

A flipped bit in a weight is a weight like any other: nothing that reads it would notice. To
hash a checkpoint is cheap against measuring it, or training on from it.

Snakemake deletes the outputs of a job of which it was not told that it ended: those of a segment
that was finished while Snakemake was dead, too. So its files keep their names below ``state/``
until Snakemake ends well; a job that starts again finds them there and publishes them again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from zsl.config.grids import checkpoint_name
from zsl.errors import TrainingError
from zsl.files import read_json, sha256

OF_TRAINING = ("optim.safetensors", "state.json")
"""Files of a checkpoint that are not read where its weights are measured."""


def verified_checkpoint(
    manifest: Path, folder: Path, step: int, *, weights_only: bool = False
) -> Path:
    """The checkpoint of ``step`` in the ``folder`` of a segment, of which all is read, or what its
    weights are alone.

    Raises TrainingError where one is missing or not the one that the manifest names.
    """
    name = checkpoint_name(step)
    digests = read_json(manifest)["files"]
    files = [file.partition("/")[2] for file in digests if file.startswith(f"{name}/")]
    if not files:
        raise TrainingError(f"{manifest}: names no file of {name}; delete it and run again")
    for file in files:
        if weights_only and file in OF_TRAINING:
            continue
        path = folder / name / file
        expected = digests[f"{name}/{file}"]
        if not path.is_file():
            raise TrainingError(
                f"{path}: not there, although {manifest} names it; if a network file system shows "
                f"it late, run again, else delete {folder} and run again: it is made anew"
            )
        if (found := sha256(path)) != expected:
            raise TrainingError(
                f"{path}: damaged: SHA-256 {found[:16]}… instead of {str(expected)[:16]}… (in "
                f"{manifest}); delete {folder} and run again: it is made anew"
            )
    return folder / name


def keep_finished(state: Path) -> None:
    """Keep of a segment's folders of training only ``state``, in which it was finished.

    Nothing is kept where that takes room: where the published files are copies.
    """
    shutil.rmtree(state / "resume", ignore_errors=True)
    linked = all(path.stat().st_nlink > 1 for path in state.glob("checkpoints/*/*"))
    for other in state.parent.iterdir():
        if other != state or not linked:
            shutil.rmtree(other)


def forget_finished(results: Path) -> None:
    """Remove what was kept of the published segments of an experiment, Snakemake having ended."""
    for manifest in (results / "training").glob("*/*.manifest.json"):
        segment = manifest.name.removesuffix(".manifest.json")
        kept = results / "state" / "training" / manifest.parent.name / segment
        shutil.rmtree(kept, ignore_errors=True)
