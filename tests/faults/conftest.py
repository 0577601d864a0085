"""The small experiment, made once, and copies of it in which something goes wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from projects import differences

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def undisturbed(stages):
    """The experiment, made while nothing went wrong; not to be changed."""
    return stages


@pytest.fixture
def project(undisturbed, tmp_path):
    """A copy of the finished experiment to harm."""
    return undisturbed.copy(tmp_path / "project")


@pytest.fixture
def ends_as_undisturbed(undisturbed):
    """Make targets, or everything: all there is has the bytes of the undisturbed run, and the audit
    of what was made is clean."""

    def check(project, *targets: str) -> None:
        project.snakemake(*targets)
        assert differences(project.artifacts(), undisturbed.artifacts()) == []
        audit = project.zsl("audit", *targets)
        assert audit.returncode == 0, audit.stdout + audit.stderr

    return check


@pytest.fixture
def fails(project):
    """Make a target, which has to fail without a traceback; returns what was said."""

    def run(*targets: str) -> str:
        done = project.try_snakemake(*targets)
        assert done.returncode != 0
        assert "a fault of the workflow" not in done.stdout, done.stdout
        return done.stdout

    return run
