"""What a file system refused, in words: it is full, or nothing may be written there."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

from zsl.errors import PassingError
from zsl.permissions import ask, closed

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
BROKEN = {errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EREMOTEIO}
NUMBER = re.compile(r"\b(?:os error|errno =) (\d+)\b")
"""How the libraries of safetensors and HDF5 write the number of an error."""


class DiskError(PassingError):
    """A disk is full or broken, or a folder may not be written to."""


def disk_error(error: BaseException | None, folder: Path) -> DiskError | None:
    """The disk's part in ``error`` or in what led to it; None where it has none.

    ``folder`` is where the results are.
    """
    while error is not None:
        number = _number(error)
        if number in FULL | FORBIDDEN | BROKEN:
            return DiskError(_message(number, getattr(error, "filename", None), folder))
        error = error.__cause__ or error.__context__
    return None


def _number(error: BaseException) -> int:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = NUMBER.search(str(error))
    return int(found[1]) if found else 0


def _message(number: int, path: str | None, folder: Path) -> str:
    where = path or folder
    if number in FULL:
        return (
            f"{where}: {os.strerror(number)} ({_free(folder)}); make room (or raise the quota) "
            "and run again: nothing that was finished is lost"
        )
    if number in FORBIDDEN and path and closed(path):
        return f"{path}: {ask(Path(path))}"
    if number in FORBIDDEN:
        return (
            f"{where}: {os.strerror(number)}; results are written below {folder}, which has to be "
            "yours and on a file system that is mounted for writing. Mend that and run again"
        )
    return (
        f"{where}: {os.strerror(number)}; the disk or the network file system is in trouble. "
        "Run again when it is well: nothing that was finished is lost"
    )


def _free(folder: Path) -> str:
    """Bytes and files that still fit on the disk of ``folder``."""
    while not folder.exists():
        folder = folder.parent
    usage, files = shutil.disk_usage(folder), os.statvfs(folder).f_favail
    return f"{usage.free:,} of {usage.total:,} bytes free on the disk of {folder}, {files:,} files"
