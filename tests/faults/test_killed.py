"""Who is killed, and what the next run finds: no step by hand, nothing finished is lost.

Random kills in every stage: ``make test-kill``. Here are single ones, at chosen moments.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket

import psutil
import pytest
from moments import start_until_stopped, stop_in

from zsl.files import read_json

FIRST = "00000000-00000016"
FIT = "results/tiny/fits/main-small.json"
SEGMENT = f"results/tiny/training/main-small/{FIRST}.manifest.json"


@pytest.fixture
def waiting(project):
    """A fit that waits in the middle of its job, and the Snakemake that started it."""
    (project.root / FIT).unlink()
    undo = stop_in(project, "fit")
    running, job = start_until_stopped(project, FIT)
    undo()
    yield project, running, job
    for process in (job, psutil.Process(running.pid) if running.poll() is None else job):
        if process.is_running():
            process.kill()
    running.wait()


def test_snakemake_alone_is_killed(waiting, ends_as_undisturbed):
    """Its job ends by itself, its lock is removed by the next run."""
    project, running, job = waiting
    running.kill()
    running.wait()
    psutil.wait_procs([job], timeout=600)
    assert not job.is_running()
    assert [*(project.root / ".snakemake/locks").iterdir()]
    ends_as_undisturbed(project, FIT)
    assert not [*(project.root / ".snakemake/running").iterdir()]


def test_a_machine_vanishes(waiting, ends_as_undisturbed):
    """Snakemake and its jobs at once, without a word."""
    project, running, _ = waiting
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    ends_as_undisturbed(project, FIT)


def test_a_living_snakemake_keeps_its_lock(waiting):
    project, running, job = waiting
    second = project.try_snakemake(FIT)
    assert second.returncode != 0 and "--unlock" in second.stdout
    assert running.poll() is None and job.is_running()


def test_a_snakemake_of_another_machine_keeps_its_lock(waiting, ends_as_undisturbed):
    """Nobody here can see whether it lives: the message says what to type once it does not."""
    project, running, _ = waiting
    (registered,) = (project.root / ".snakemake/running").iterdir()
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    there = registered.name.replace(socket.gethostname(), "login2")
    registered.rename(registered.with_name(there))
    refused = project.try_snakemake(FIT)
    assert refused.returncode != 0
    told = f"rm .snakemake/running/{there}; snakemake --unlock"
    assert there in refused.stdout and told in refused.stdout
    (project.root / ".snakemake/running" / there).unlink()
    project.snakemake("--unlock")
    ends_as_undisturbed(project, FIT)


def test_a_segment_that_ended_while_snakemake_was_dead_is_not_trained_again(
    project, ends_as_undisturbed
):
    """Snakemake deletes the outputs of a job that it was not told the end of."""
    (project.root / SEGMENT).unlink()
    shutil.rmtree(project.results / f"training/main-small/{FIRST}")
    undo = stop_in(project, "train", at_exit=True)
    running, _ = start_until_stopped(project, SEGMENT)
    undo()
    assert (project.root / SEGMENT).exists()
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    said = project.snakemake(SEGMENT)
    assert "resuming at step 16" in said
    assert not (project.results / f"state/training/main-small/{FIRST}").exists()
    ends_as_undisturbed(project)


COPY = "shutil.copyfile(source, temporary)"


@pytest.mark.parametrize("kept", ["code", "history"])
def test_a_job_is_killed_while_it_keeps_its_lineage(project, ends_as_undisturbed, kept):
    """What it had begun to write there is no part of the chain of records, nor of its root."""
    lineage = project.results / "lineage"
    for digest in read_json(lineage / "fits/main-small.json")["code"]["modules"].values():
        (lineage / "code" / f"{digest}.py").unlink(missing_ok=True)
    (project.root / FIT).unlink()
    module = project.root / "src/zsl/lineage/history.py"
    original = module.read_text()
    die = f'{COPY}; target.parent.name == "{kept}" and __import__("os").kill(0, 9)'
    module.write_text(original.replace(COPY, die))
    running = project.start(FIT)
    running.wait()
    assert running.returncode == -signal.SIGKILL
    assert [*lineage.rglob(".*")]
    module.write_text(original)
    ends_as_undisturbed(project, FIT)
    assert not [*lineage.rglob(".*")]
