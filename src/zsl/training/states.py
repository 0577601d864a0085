"""The saved states of a segment in training: which one to go on from, and their publication.

They lie in ``checkpoints/`` and ``resume/`` of the segment's state folder. A disk or a file system
may damage a file that was written whole; the digests in each ``state.json`` tell.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from zsl.config.grids import Segment, checkpoint_name, measured_steps
from zsl.config.schema import Run
from zsl.errors import TrainingError
from zsl.files import link_or_copy, sha256
from zsl.training.checkpoint import FILES, is_sound

log = logging.getLogger(__name__)


def owned_steps(run: Run, segment: Segment) -> list[int]:
    """Steps at which ``segment`` writes a checkpoint, its last step among them."""
    steps = {*measured_steps(run.steps, run.checkpoints.also), segment.end}
    return sorted(step for step in steps if segment.owns(step))


def saved_states(folder: Path) -> list[Path]:
    """The states in ``checkpoints/`` or ``resume/``, oldest first."""
    return sorted(folder.glob("step*"))


def newest_state(state: Path) -> Path | None:
    """The newest of all states of a segment; None where there is none."""
    both = [*saved_states(state / "resume"), *saved_states(state / "checkpoints")]
    return max(both, key=lambda folder: folder.name, default=None)


def newest_sound(state: Path) -> Path | None:
    """The newest state that is as it was written; damaged ones, newer than it, are removed."""
    while (newest := newest_state(state)) is not None and not is_sound(newest):
        log.warning("%s: damaged since it was written; going on from an earlier one", newest)
        shutil.rmtree(newest)
    return newest


def publish_segment(run: Run, segment: Segment, *, state: Path, folder: Path) -> dict[str, object]:
    """Move a finished segment's checkpoints to ``folder``; return its manifest.

    The manifest holds no times: step numbers and the SHA-256 of each checkpoint's files. Raises
    TrainingError where a checkpoint was damaged since it was written; it and all after it are
    removed, so that the next attempt makes them again.
    """
    steps = owned_steps(run, segment)
    made = [state / "checkpoints" / checkpoint_name(step) for step in steps]
    for i, checkpoint in enumerate(made):
        if not is_sound(checkpoint):
            for later in {*made[i:], *saved_states(state / "resume")}:
                shutil.rmtree(later, ignore_errors=True)
            raise TrainingError(
                f"{checkpoint}: damaged since it was written; it and those after it were "
                "removed: run again to make them again"
            )
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(state / "checkpoints", partial, copy_function=link_or_copy)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return {
        "segment": segment.name,
        "steps": steps,
        "files": {
            f"{checkpoint_name(step)}/{file}": sha256(folder / checkpoint_name(step) / file)
            for step in steps
            for file in FILES
        },
    }
