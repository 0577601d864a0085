"""Whatever is killed, running again ends with the same bytes, and nothing half-made is used.

The moments are found by watching processes and files: a training job is interrupted when it
has just kept a certain checkpoint, a measurement while its file is being written.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from projects import differences, invented_text

pytestmark = pytest.mark.slow

BLOCK = "00000000-00000512"
MANIFEST = f"results/tiny/training/main-small/{BLOCK}.manifest.json"
MEASUREMENT = f"results/tiny/measurements/token_losses/main-small/{BLOCK}.h5"
EVERYTHING = ("fig03", "table1", MEASUREMENT)


def wait_for(condition: Callable[[], Any], running: subprocess.Popen[str]) -> Any:
    """Wait until ``condition`` holds, as long as Snakemake runs, and return its value."""
    while not (value := condition()):
        assert running.poll() is None, "Snakemake ended before the moment waited for"
        time.sleep(0.001)
    return value


def python_of(script: str, running: subprocess.Popen[str]) -> psutil.Process:
    """The process that runs a script of the workflow, once it is there."""

    def found() -> psutil.Process | None:
        for child in psutil.Process(running.pid).children(recursive=True):
            try:
                command = child.cmdline()
            except psutil.NoSuchProcess:
                continue
            if command and command[-1].endswith(f".{script}.py"):
                return child
        return None

    return wait_for(found, running)


def longer(project):
    """One run of one segment that is long enough to be interrupted, and text for it."""

    def change(config: dict[str, Any]) -> None:
        main = config["suites"]["main"]
        main["defaults"] |= {"steps": 512, "checkpoints": {"first_segment": 512}}
        config["measurements"]["micro_batch_size"] = 1

    project.configure(change)
    (project.root / "text/1.txt").write_text(invented_text(1, 800))
    return project


@pytest.fixture(scope="module")
def undisturbed(stages, tmp_path_factory):
    project = longer(stages.copy(tmp_path_factory.mktemp("undisturbed") / "project"))
    project.snakemake(*EVERYTHING)
    return project


def interrupt_training(project, at: int, kill: Callable[[subprocess.Popen[str], Any], None]) -> str:
    """Train, ``kill`` when checkpoint ``at`` is kept, and return the log of the job."""
    running = project.start(MANIFEST)
    job = python_of("train", running)
    checkpoint = f"state/training/main-small/{BLOCK}/*/checkpoints/step{at:08d}"
    wait_for(lambda: [*project.results.glob(checkpoint)], running)
    kill(running, job)
    assert running.wait() != 0
    psutil.wait_procs([job], timeout=600)
    assert not (project.root / MANIFEST).exists()
    return log(project)


def log(project) -> str:
    return (project.results / f"logs/training/main-small/{BLOCK}.log").read_text()


def resumed_at(text: str) -> int:
    found = re.search(r"resuming at step (\d+)", text)
    assert found, f"began anew: {text}"
    return int(found[1])


def test_an_interrupted_run_ends_with_the_bytes_of_an_undisturbed_one(undisturbed, project):
    longer(project)

    said = interrupt_training(project, 16, lambda _, job: job.send_signal(signal.SIGTERM))
    stopped = re.search(r"stopped by a signal at step (\d+), saved", said)
    assert stopped

    said = interrupt_training(project, 64, lambda _, job: job.kill())
    assert resumed_at(said) == int(stopped[1])

    said = interrupt_training(
        project, 256, lambda running, _: os.killpg(running.pid, signal.SIGKILL)
    )
    assert resumed_at(said) >= 64

    # The lock that it left is of a dead Snakemake: the next one removes it.
    running = project.start(MEASUREMENT)
    measuring = python_of("measure", running)
    assert resumed_at(log(project)) >= 256
    target = project.root / MEASUREMENT
    wait_for(lambda: [*target.parent.glob(f".{target.name}.*")], running)
    measuring.kill()
    assert running.wait() != 0
    assert not target.exists()

    project.snakemake(*EVERYTHING)
    assert differences(project.artifacts(), undisturbed.artifacts()) == []
    assert project.planned(*EVERYTHING) == set()
