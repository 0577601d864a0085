"""A server that makes each row in a fork of its own, and says what came of it.

What a row needs is imported once, here. A fork may take so much more memory and so much time, is
killed beyond that, and cannot spoil what comes after it.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
import resource
import select
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS = 1200
"""Of computing; an hour in all, which no load makes of it."""
ADDRESSES = 3 << 30
"""Bytes of addresses beyond those of this process: more is a MemoryError."""
FILE = 1 << 28
"""Bytes of a file that is written."""
WORK = (("state",), ("logs",))
"""Folders of the results that hold no artifacts."""


def run(id: str, folder: Path) -> dict[str, Any]:
    """Make a row with ``folder``/project as the project."""
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(heard)
        answer = json.dumps(_made(id, folder)).encode()
        with os.fdopen(told, "wb") as file:
            file.write(answer)
        os._exit(0)
    os.close(told)
    answer = b""
    with os.fdopen(heard, "rb", buffering=0) as file:
        end = time.monotonic() + 30 * SECONDS
        while select.select([file], [], [], max(0.0, end - time.monotonic()))[0]:
            part = file.read(1 << 16)
            if not part:
                break
            answer += part
        else:
            os.kill(child, 9)
    _, status = os.waitpid(child, 0)
    if not answer:
        return {"fault": f"ended by {'time' if status == 9 else f'signal or status {status}'}"}
    found: dict[str, Any] = json.loads(answer)
    return found


def _made(id: str, folder: Path) -> dict[str, Any]:
    """In the fork: what a row says, changes and takes."""
    os.chdir(folder / "project")
    os.environ["TMPDIR"] = str(folder / "tmp")
    silence = os.open(folder / "noise", os.O_WRONLY | os.O_CREAT)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    attack = table()[id].attack(folder / "project")
    try:
        next(attack)
    except BaseException:
        return {"fault": f"in its preparation: {traceback.format_exc()}"}
    Path("/proc/self/clear_refs").write_text("5")  # what was taken so far is no peak
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + ADDRESSES,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE, FILE))
    before, start = _files(folder), _status("VmRSS")
    found = _outcome(lambda: list(attack))
    found["bytes"] = _status("VmHWM") - start
    after = _files(folder)
    found["changed"] = sorted(p for p in {*before, *after} if before.get(p) != after.get(p))
    return found


def _outcome(act: Callable[[], object]) -> dict[str, Any]:
    from attacks import Refused
    from zsl.errors import ZslError, printable

    try:
        act()
    except Refused as error:
        return {"refused": str(error)}
    except ZslError as error:  # as a job and a command say it
        return {"refused": printable(str(error))}
    except BaseException:
        return {"fault": traceback.format_exc()}
    return {"refused": None}


def _files(folder: Path) -> dict[str, Any]:
    """What tells a file from another, by path; without noise and what jobs work in."""
    found = {}
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        work = inside.parts[:2] == ("project", "results") and inside.parts[3:4] in WORK
        own = inside.parts[0] == "noise" or inside.parts[:2] == ("project", ".snakemake")
        if not own and not work and (path.is_symlink() or not path.is_dir()):
            about = path.lstat()
            found[inside.as_posix()] = [about.st_mode, about.st_ino, about.st_mtime_ns]
    return found


def _status(key: str) -> int:
    """A number of bytes that the system says of this process."""
    text = Path("/proc/self/status").read_text()
    match = re.search(rf"^{key}:\s*(\d+) kB$", text, re.MULTILINE)
    assert match
    return int(match[1]) * 1024


def table() -> dict[str, Any]:
    """All rows, by their ids."""
    import attacks

    for module in pkgutil.iter_modules(attacks.__path__):
        importlib.import_module(f"attacks.{module.name}")
    return attacks.TABLE


def serve() -> None:
    """Answer lines of JSON, each a row's id and a folder."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    table()
    for name in (
        "zsl.cli",
        "zsl.measure.run",
        "zsl.data.corpus",
        "zsl.crate.write",
        "zsl.audit.command",
    ):
        importlib.import_module(name)
    for line in sys.stdin:
        question = json.loads(line)
        answers.write(json.dumps(run(question["id"], Path(question["folder"]))) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
