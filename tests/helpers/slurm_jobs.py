"""Questions to SLURM about jobs, and the processes of a job."""

from __future__ import annotations

import re
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Job:
    """A job as squeue shows it, also when it has ended."""

    id: str
    state: str
    comment: str

    @property
    def shown(self) -> str:
        """All that SLURM knows of it."""
        return command("scontrol", "show", "job", self.id)

    @property
    def restarts(self) -> int:
        """How often SLURM itself has started it again."""
        return int(re.search(r"Restarts=(\d+)", self.shown)[1])  # type: ignore[index]

    @property
    def minutes(self) -> int:
        """Whole minutes for which it has run."""
        hours, minutes = re.search(r"RunTime=(\d+):(\d+)", self.shown).groups()  # type: ignore[union-attr]
        return int(hours) * 60 + int(minutes)


def command(*words: str) -> str:
    """What a command says, which must succeed."""
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout


def jobs_of(name: str) -> list[Job]:
    """The jobs of a rule and run, or of the curves of a run, in the order of submission."""
    lines = command("squeue", "--states=all", "--noheader", "--format=%i %T %k").splitlines()
    found = [Job(*line.split(maxsplit=2)) for line in sorted(lines) if len(line.split()) > 2]
    return sorted((job for job in found if name in job.comment), key=lambda job: int(job.id))


def training(id: str) -> psutil.Process:
    """The process of a job that trains."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            mine = process.environ().get("SLURM_JOB_ID") == id
            if mine and process.cmdline()[-1].endswith(".train.py"):
                return process
    raise AssertionError(f"job {id} does not train")


def told(process: psutil.Process, number: signal.Signals) -> bool:
    """Whether a suspended process has got a signal; SLURM or this lets it go on then."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
        waiting = int(re.search(r"ShdPnd:\s*(\w+)", status)[1], 16)  # type: ignore[index]
        if waiting >> (number - 1) & 1:
            process.resume()
        return process.status() != psutil.STATUS_STOPPED
    except (FileNotFoundError, psutil.NoSuchProcess):
        return True
