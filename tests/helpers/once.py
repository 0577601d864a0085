"""What is made once in a test run, by whichever of its processes asks for it first."""

from __future__ import annotations

import fcntl
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A new folder that ``make`` has filled; not to be changed.

    Other processes that ask for it wait until it is made, however long that takes. Where making
    it failed, it fails for all of them, with the same words.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, end = shared / name / "made", shared / name / "end"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not end.exists():
            folder.mkdir()
            try:
                make(folder)
                end.write_text("")
            except BaseException:
                end.write_text(traceback.format_exc())
                raise
    if failed := end.read_text():
        pytest.fail(f"{name} could not be made:\n{failed}", pytrace=False)
    return folder
