"""Files of other people, which this user may not read: whom to ask for what."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from shlex import quote

from zsl.errors import ZslError

EFFECTIVE = os.access in os.supports_effective_ids


class ClosedError(ZslError):
    """A file that this user may not read."""


def closed(path: str | Path) -> Path | None:
    """What keeps this user from reading ``path``: itself, or a folder above it; None if nothing."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 (links are kept as they are)
    for each in (*reversed(path.parents), path):
        try:
            folder = stat.S_ISDIR(each.stat().st_mode)
        except OSError:  # it is not there
            return None
        listed = os.R_OK if each == path else 0
        if not os.access(each, listed | (os.X_OK if folder else 0), effective_ids=EFFECTIVE):
            return each
    return None


def ask(path: Path, whole: Path | None = None) -> str:
    """Whom to ask to let this user read ``path``: the file, the folder, or the ``whole`` that it
    is in."""
    opened = whole or closed(path) or path
    change = "-R a+rX" if opened.is_dir() else "a+r"
    owner = _owner(closed(path) or opened)
    return f"not readable by you: ask its owner, {owner} (chmod {change} {quote(str(opened))})"


def _owner(path: Path) -> str:
    """Name, or number, of the user whose file it is."""
    number = path.stat().st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def said_of(error: PermissionError) -> str:
    """An error of the system in words: whom to ask, where it is that a file cannot be read."""
    name = error.filename
    readable = name is None or closed(name) is None
    return str(error) if readable else f"{name}: {ask(Path(name))}"


def require_readable(path: str | Path) -> None:
    """Raise ClosedError where this user may not read a file that is there."""
    if closed(path):
        raise ClosedError(f"{path}: {ask(Path(path))}")
