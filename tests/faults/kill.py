"""SIGKILL at random moments of a small experiment; then it has to end as if nothing had been.

    make test-kill N=… SEED=…

Each time the seed decides how long Snakemake runs before the kill, and who dies: one of the jobs,
Snakemake alone, or all at once, as when a machine loses power. Some of the kills wait for a stage
that was hit seldom. Snakemake is started again with the same command, without a pause and whatever
it left. When the experiment is whole before the N-th kill, it is checked, and begun anew. Checked
are the bytes of all artifacts, against those of a run that nobody disturbed, and ``zsl audit``.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/helpers"))

from projects import STAGES, differences, lay_out  # noqa: E402

SHARE = 14
"""On average, a run lives on for this part of the time that an undisturbed one takes."""
EARLY, SELDOM = 0.2, 0.2
"""Shares of the kills that may come before a job has begun, and that wait for a job of a script
which was hit less than half as often as the others on average."""
SOON = 1.0
"""Seconds, on average, from the beginning of such a job to the kill."""
WHO = ("a job", "a job", "Snakemake alone", "all at once")
SCRIPTS = {path.stem for path in (ROOT / "workflow/scripts").glob("*.py")} - {
    "imported_loss",
    "published_curves",
}


def jobs_of(running: subprocess.Popen[str]) -> dict[psutil.Process, str]:
    """Processes that run a script of the workflow, with the script's name."""
    found = {}
    for process in psutil.Process(running.pid).children(recursive=True):
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if words and words[-1].endswith(".py") and ".snakemake/scripts" in words[-1]:
            found[process] = words[-1].split(".")[-2]
    return found


class Kills:
    """Kills until there were enough of them."""

    def __init__(self, number: int, seed: int, folder: Path) -> None:
        self.number, self.seed, self.folder = number, seed, folder
        self.random = random.Random(seed)
        self.done = 0
        self.rounds = 0
        self.hit: Counter[str] = Counter()

    def run(self) -> None:
        """All of it; exits with what went wrong."""
        started = time.monotonic()
        pristine = lay_out(self.folder / "pristine")
        pristine.show(STAGES)
        undisturbed = pristine.copy(self.folder / "undisturbed")
        undisturbed.snakemake()
        self.expected = undisturbed.artifacts()
        self.whole = time.monotonic() - started
        print(f"undisturbed: {len(self.expected)} artifacts in {self.whole:.0f} s", flush=True)
        while self.done < self.number:
            project = pristine.copy(self.folder / f"round{self.rounds}")
            while self.done < self.number and not self.killed(project):
                pass
            project.snakemake()
            self.check(project)
            shutil.rmtree(project.root)
        self.summarise(time.monotonic() - started)

    def killed(self, project) -> bool:
        """Run until a random moment, and kill; True when the experiment was whole before."""
        running = project.start()
        draw = self.random.random()
        seldom = draw < SELDOM
        early = not seldom and draw < SELDOM + EARLY
        while not early and running.poll() is None and not self.aims(running, seldom):
            time.sleep(0.02)
        try:
            code = running.wait(self.random.expovariate(1 / SOON if seldom else SHARE / self.whole))
        except subprocess.TimeoutExpired:
            self.kill(running, self.aims(running, seldom))
            return False
        if code != 0:
            sys.exit(
                f"failed, and nobody killed it:\n{(project.root / 'snakemake.log').read_text()}"
            )
        return True

    def aims(self, running: subprocess.Popen[str], seldom: bool) -> dict[psutil.Process, str]:
        """Jobs that run; with ``seldom``, of scripts that were hit seldom."""
        jobs = jobs_of(running)
        often = self.done / len(SCRIPTS) / 2
        return {job: name for job, name in jobs.items() if not seldom or self.hit[name] <= often}

    def kill(self, running: subprocess.Popen[str], aims: dict[psutil.Process, str]) -> None:
        jobs = jobs_of(running)
        who = self.random.choice(WHO) if aims else self.random.choice(WHO[2:])
        if who == "a job":
            victim = self.random.choice([*aims])
            names = [aims[victim]]
            with suppress(psutil.NoSuchProcess):  # it may have ended just now
                victim.kill()
        else:
            names = sorted(jobs.values())
            kill = os.kill if who == "Snakemake alone" else os.killpg
            kill(running.pid, signal.SIGKILL)
        running.wait()
        self.done += 1
        self.hit.update(names or ["no job"])
        at = ", ".join(names) or "no job"
        print(f"{self.done} of {self.number}: {who} ({at})", flush=True)

    def check(self, project) -> None:
        """The bytes of all artifacts, and the audit."""
        self.rounds += 1
        if wrong := differences(project.artifacts(), self.expected):
            sys.exit(f"other bytes than undisturbed: {', '.join(wrong)} in {project.root}")
        audit = project.zsl("audit")
        if audit.returncode != 0:
            sys.exit(f"zsl audit:\n{audit.stdout}{audit.stderr} in {project.root}")
        print(f"round {self.rounds}: whole, identical bytes, audit clean", flush=True)

    def summarise(self, seconds: float) -> None:
        """What was killed, as JSON; docs/faults.md tells of one such run (``kills.json``)."""
        summary = {
            "kills": self.done,
            "seed": self.seed,
            "rounds": self.rounds,
            "minutes": round(seconds / 60, 1),
            "no job": self.hit.pop("no job", 0),
            "jobs": {name: self.hit[name] for name in sorted(SCRIPTS)},
        }
        print(json.dumps(summary, indent=1))


def main(number: str, seed: str) -> None:
    """Kill ``number`` times; the folder is kept where something went wrong."""
    print(f"make test-kill N={number} SEED={seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="zsl-kill-"))
    Kills(int(number), int(seed), folder).run()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
