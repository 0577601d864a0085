"""Facts of a job's surroundings: revision, device, threads, memory, scheduler.

A fact that cannot be found is left out. The host's name and paths of the machine are never
among them.
"""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def revision(root: Path) -> dict[str, Any]:
    """``commit`` of the project and whether its tree is ``dirty``; untracked files count.

    Empty where there is no git, or where the repository around ``root`` does not hold the
    library (a project that was unpacked inside another one).
    """
    if not _git(root, "ls-files", "--", "src/zsl"):
        return {}
    commit, status = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain", "--", ".")
    facts: dict[str, Any] = {"commit": commit.strip()} if commit else {}
    return facts if status is None else {**facts, "dirty": bool(status.strip())}


def _git(root: Path, *arguments: str) -> str | None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, env=environ, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")


def device() -> dict[str, Any]:
    """``machine`` and ``cpu`` model; ``cuda`` if torch is imported here and finds devices.

    ``cuda`` holds the names of the visible ``devices``, the ``driver``, and whether this
    process itself ``used`` them.
    """
    facts: dict[str, Any] = {"machine": platform.machine()}
    if model := re.search(r"^model name\s*:\s*(.+)$", _text("/proc/cpuinfo"), re.MULTILINE):
        facts["cpu"] = model[1].strip()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        used = torch.cuda.is_initialized()
        count = torch.cuda.device_count()
        facts["cuda"] = {
            "devices": [torch.cuda.get_device_name(index) for index in range(count)],
            "used": used,
        }
        version = _text("/proc/driver/nvidia/version")
        if driver := re.search(r"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s", version):
            facts["cuda"]["driver"] = driver[1]
    return {key: value for key, value in facts.items() if value}


def threads(declared: int | None) -> dict[str, Any]:
    """Threads ``declared`` by the rule, of the thread variables, and of torch if imported."""
    facts: dict[str, Any] = {} if declared is None else {"declared": declared}
    facts |= {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ}
    if (torch := sys.modules.get("torch")) is not None:
        facts["torch"] = torch.get_num_threads()
    return facts


def scheduler() -> dict[str, str]:
    """``slurm_job_id`` in a SLURM job."""
    job = os.environ.get("SLURM_JOB_ID")
    return {"slurm_job_id": job} if job else {}


def peak_memory_bytes() -> dict[str, int]:
    """Most memory resident at once in this ``process``, and in the largest of its ``children``.

    ``ru_maxrss`` also remembers the program that started this one, so that Linux's own count
    is used where there is one.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    own = re.search(r"^VmHWM:\s*(\d+) kB$", _text("/proc/self/status"), re.MULTILINE)
    process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    facts = {"process": int(own[1]) * 1024 if own else process}
    return {**facts, "children": children} if children else facts


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
