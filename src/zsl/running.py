"""Which Snakemake is at work here, so that one that was killed is not in the way of the next.

Snakemake's own lock does not say who holds it: after a kill it stays, and a user has to remove
it. So each Snakemake holds the system's lock (``flock``) on a file of its own, which ends with
it, however it ends::

    .snakemake/running/<host>-<process>

A job waits for that lock to be free: then its Snakemake is gone, and the job ends, too (training
saves its state first), so that it does not write beside the jobs of the next one. The next one
waits for such jobs, and removes Snakemake's lock where everyone who could hold it is gone.
"""

from __future__ import annotations

import atexit
import fcntl
import logging
import os
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

VARIABLE = "ZSL_RUNNING"
"""Environment variable that names the file of a job's Snakemake."""


def take_turn(folder: Path) -> None:
    """Register this Snakemake in ``folder`` (``.snakemake``), after removing what dead ones left.

    Waits for jobs that outlive their Snakemake. Where a lock is left and a Snakemake of another
    machine, which cannot be asked, may hold it, it says so; Snakemake itself will refuse to run.
    """
    leave_turn()
    running = folder.absolute() / "running"
    try:
        running.mkdir(parents=True, exist_ok=True)
        _remove_stale(folder, running)
        path = running / f"{socket.gethostname()}-{os.getpid()}"
        file = path.open("w")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:  # read-only, or no locks: Snakemake's own lock is left alone
        log.debug("%s: %s", running, error)
        return
    os.environ[VARIABLE] = str(path)
    atexit.register(_leave, path, file)


def leave_turn() -> None:
    """Forget the Snakemake that is named: a job on another machine does not end with it."""
    os.environ.pop(VARIABLE, None)


def _leave(path: Path, file: IO[str]) -> None:
    path.unlink(missing_ok=True)
    file.close()


def _remove_stale(folder: Path, running: Path) -> None:
    """Remove Snakemake's lock where at least one is known to have died and none may live."""
    left = sorted(running.iterdir())
    here = [path for path in left if path.name.rpartition("-")[0] == socket.gethostname()]
    dead = [path for path in here if _is_dead(path)]
    if len(dead) == len(left) and dead:
        shutil.rmtree(folder / "locks", ignore_errors=True)
    elif len(here) < len(left) and len(dead) == len(here) and any((folder / "locks").glob("*")):
        _say_who(sorted(set(left) - set(here)))
    for path in dead:
        path.unlink(missing_ok=True)


def _say_who(others: list[Path]) -> None:
    names = ", ".join(path.name for path in others)
    files = " ".join(str(path.relative_to(Path.cwd())) for path in others)
    print(
        f"A Snakemake on another machine (host-process: {names}) may be at work in this folder; "
        "this machine cannot see whether it lives. Wait for it; if it is gone, type: "
        f"rm {files}; snakemake --unlock",
        file=sys.stderr,
    )


def _is_dead(path: Path) -> bool:
    """Whether a Snakemake of this machine is gone; waits for the last of its jobs."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if not _try(file):
                print("Waiting for jobs of a Snakemake that was killed to end.", file=sys.stderr)
                fcntl.flock(file, fcntl.LOCK_EX)
            # While the lock is held: a job that starts only now finds that the file is gone.
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True


def _try(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def end_with_snakemake() -> None:
    """End this process, by SIGTERM, when the Snakemake that started it on this machine is gone."""
    path = os.environ.get(VARIABLE)
    if path:
        threading.Thread(target=_outlive, args=(Path(path),), daemon=True).start()


def _outlive(path: Path) -> None:
    """Wait for the lock; it is held, shared with other jobs, until this process ends."""
    try:
        file = path.open()
        fcntl.flock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        pass
    except OSError:
        return
    log.warning("Snakemake is gone: this job ends, too; run again to go on")
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait()
