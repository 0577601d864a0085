"""The lock of a segment's folder: two jobs never train one segment.

The system's own lock (``flock``) ends with the process that holds it, however it ends. On a
cluster it may bind the processes of one machine only, or not be had. So the holder also writes
who it is to the file, with a number that grows every BEAT seconds. Whoever finds a holder on
another machine watches that number: while it grows, the holder lives; when it has stood still
for PATIENCE seconds, the holder is gone, and the lock is taken.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from zsl.errors import PassingError, TrainingError

log = logging.getLogger(__name__)

BEAT = 15.0
"""Seconds between signs of life."""
PATIENCE = 180.0
"""Seconds without one after which a holder on another machine is gone: longer than network file
systems keep what they last saw of a file."""
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


class HeldError(TrainingError, PassingError):
    """Another job trains this segment."""


@dataclass
class Lock:
    """A lock that this process holds."""

    path: Path
    owner: dict[str, object] = field(default_factory=lambda: _this_process())
    _beats: int = 0
    _lost: bool = False

    def check(self) -> None:
        """Raise HeldError when another job has taken over: this one had stood still."""
        if self._lost:
            raise HeldError(
                f"{self.path}: another job took this segment over, because this one had shown no "
                f"sign of life for {PATIENCE:.0f} s; it stops here, the other one goes on"
            )

    def beat(self) -> None:
        """Show a sign of life, unless another job has taken over."""
        holder = _holder(self.path)
        if holder is not None and _who(holder) != self.owner:
            self._lost = True
        else:
            self.sign()

    def sign(self) -> None:
        """Write who holds it."""
        self._beats += 1
        _write(self.path, json.dumps({**self.owner, "beat": self._beats}))

    def release(self) -> None:
        """Leave no holder behind."""
        if not self._lost:
            _write(self.path, "")


@contextmanager
def locked(path: Path) -> Iterator[Lock]:
    """Hold the lock file ``path``.

    Raises HeldError when a living job holds it.
    """
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise HeldError(_held(path)) from None
            log.warning("%s: this file system has no locks; signs of life alone count", path)
        _wait_for_silence(path)
        lock, done = Lock(path), threading.Event()
        lock.sign()
        thread = threading.Thread(target=_keep_beating, args=(lock, done), daemon=True)
        thread.start()
        try:
            yield lock
        finally:
            done.set()
            thread.join()
            lock.release()


def _keep_beating(lock: Lock, done: threading.Event) -> None:
    while not done.wait(BEAT):
        lock.beat()


def _wait_for_silence(path: Path) -> None:
    """Return when no holder of another machine is left; raise HeldError when one lives."""
    holder = _holder(path)
    if holder is None or holder.get("host") == socket.gethostname():
        return  # flock has told that no process of this machine holds it
    log.warning(
        "%s: job %s on another machine held this and did not release it; watching for %.0f s "
        "whether it lives",
        path,
        holder.get("job", holder.get("pid")),
        PATIENCE,
    )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        time.sleep(PATIENCE / 20)
        now = _holder(path)
        if now is None:
            return
        if now != holder:
            raise HeldError(_held(path))
    log.warning("%s: it gave no sign of life; taking over", path)


def _held(path: Path) -> str:
    holder = _holder(path) or {}
    job = f"SLURM job {holder['job']}" if "job" in holder else f"process {holder.get('pid', '?')}"
    return (
        f"{path}: {job} on {holder.get('host', 'this machine')} is training this segment; wait "
        "for it or stop it (scancel, kill), then run again"
    )


def _this_process() -> dict[str, object]:
    job = os.environ.get("SLURM_JOB_ID")
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": time.time(),
        **({"job": job} if job else {}),
    }


def _who(holder: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in holder.items() if key != "beat"}


def _holder(path: Path) -> dict[str, object] | None:
    """Who the file says holds the lock; None when nobody does."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if not text:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    # A write that was cut off names nobody: its machine counts as another one.
    return found if isinstance(found, dict) else {"unreadable": text}


def _write(path: Path, text: str) -> None:
    """Write in place, so that the file stays the one that is locked, and on to the server."""
    try:
        with path.open("r+", encoding="utf-8") as file:
            file.write(text)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:  # a full disk, say: no reason to lose the training
        log.warning("%s: could not be written: %s", path, error)
