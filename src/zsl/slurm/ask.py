"""Questions to SLURM about jobs, of which any may stay without an answer."""

from __future__ import annotations

import re
import subprocess

SECONDS = 60
"""How long an answer is waited for."""
NEVER = {
    "AccountNotAllowed",
    "BadConstraints",
    "JobHeldAdmin",
    "JobHeldUser",
    "PartitionNodeLimit",
    "PartitionTimeLimit",
    "QOSMaxWallDurationPerJobLimit",
    "launch failed requeued held",
}
"""Reasons for which a job waits until somebody does something."""


def keeps_accounts() -> bool | None:
    """Whether the cluster keeps accounts, so that sacct can answer; None: SLURM does not."""
    answer = _answer("scontrol", "show", "config")
    found = answer and re.search(r"^AccountingStorageType\s*=\s*(\S+)", answer, re.MULTILINE)
    return found[1] not in ("accounting_storage/none", "(null)") if found else None


def states(command: str, run: str) -> dict[str, str] | None:
    """State by number of the jobs whose name is ``run``, by squeue or sacct; None: no answer."""
    # squeue forgets what ended MinJobAge seconds ago; sacct looks at the last two days.
    questions = {
        "squeue": ("--states=all", "--format=%i|%T"),
        "sacct": (
            "--allocations",
            "--parsable2",
            "--format=JobIDRaw,State",
            "--starttime=now-2days",
        ),
    }
    answer = _answer(command, "--noheader", *questions[command], f"--name={run}")
    rows = [line.split("|") for line in answer.splitlines()] if answer is not None else []
    # A state may have more words: CANCELLED by 1000.
    found = {row[0].strip(): row[1].split()[0] for row in rows if len(row) > 1 and row[1].strip()}
    return None if answer is None else found


def state(job: str) -> str | None:
    """State of a single job; empty if SLURM does not know it, None if it does not answer."""
    done = _run("scontrol", "show", "job", "--oneliner", job)
    if done is None:
        return None
    found = re.search(r"\bJobState=(\w+)", done.stdout)
    return found[1] if found else "" if "Invalid job id" in done.stderr else None


def stuck(run: str) -> dict[str, str]:
    """Why those of the jobs whose name is ``run`` wait that never start by themselves."""
    answer = _answer("squeue", "--noheader", "--states=PENDING", "--format=%i|%r", f"--name={run}")
    rows = [line.strip().partition("|") for line in (answer or "").splitlines()]
    return {job: reason for job, _, reason in rows if reason in NEVER}


def have_jobs() -> bool:
    """Whether the user has jobs that wait or run."""
    return bool((_answer("squeue", "--me", "--noheader", "--format=%i") or "").strip())


def refusal(call: str) -> str:
    """What ``sbatch`` says against a call that it is only to look at; empty if nothing."""
    try:
        done = subprocess.run(
            f"{call} --test-only --wrap=true",
            shell=True,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return "no answer"
    return "" if done.returncode == 0 else " ".join(done.stderr.split())


def _answer(*words: str) -> str | None:
    done = _run(*words)
    return None if done is None or done.returncode else done.stdout


def _run(*words: str) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
