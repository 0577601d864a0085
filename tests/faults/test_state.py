"""State that an interrupted segment left, and that was damaged before it is resumed."""

from __future__ import annotations

import os
import shutil
import signal

import pytest
from harm import cut, flip
from moments import start_until_stopped, stop_in

FIRST = "00000000-00000016"
SEGMENT = f"results/tiny/training/main-small/{FIRST}.manifest.json"


ROWS = {
    "a bit of the newest": ("step00000016/model.safetensors", flip),
    "the newest is cut": ("step00000016/optim.safetensors", cut),
    "the newest is empty": ("step00000016/state.json", lambda path: path.write_bytes(b"")),
    "a bit of an older one": ("step00000008/optim.safetensors", flip),
}


@pytest.fixture
def interrupted(project):
    """A segment that was killed when it had saved its last state."""
    (project.root / SEGMENT).unlink()
    shutil.rmtree(project.results / f"training/main-small/{FIRST}")
    undo = stop_in(project, "train", at_exit=True)
    running, _ = start_until_stopped(project, SEGMENT)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    undo()
    return project


def state_of(project):
    (state,) = (project.results / f"state/training/main-small/{FIRST}").glob("*")
    return state


@pytest.mark.parametrize(("damaged", "harm"), ROWS.values(), ids=ROWS)
def test_a_damaged_state_is_not_resumed(interrupted, ends_as_undisturbed, damaged, harm):
    """An earlier state is; where that is found out when all is published, the run after does."""
    harm(state_of(interrupted) / "checkpoints" / damaged)
    first = interrupted.try_snakemake(SEGMENT)
    assert "damaged since it was written" in first.stdout
    ends_as_undisturbed(interrupted, SEGMENT)


@pytest.mark.parametrize(("name", "harm"), [("steps.csv", flip), ("steps.json", cut)])
def test_damaged_losses_are_not_published(interrupted, fails, ends_as_undisturbed, name, harm):
    """Nothing else holds the losses of the steps that were made: they are made again."""
    state = state_of(interrupted)
    harm(state / name)
    said = fails(SEGMENT)
    assert "steps.csv: damaged since it was written; delete results/tiny/state" in said
    shutil.rmtree(state)
    ends_as_undisturbed(interrupted, SEGMENT)
