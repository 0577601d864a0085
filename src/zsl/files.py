"""Files written whole or not at all, with reproducible bytes, and their digests."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zsl.errors import BrokenFileError

CHUNK = 1 << 20
LARGEST_JSON = 1 << 26
"""Bytes of a JSON file: hundreds of times what ours have, and what memory has room for."""
SMALL = 1 << 26
EXPANSION = 250
"""What is stored in some bytes may hold ``SMALL`` bytes, and beyond that so many times more: text
and measurements are compressed to a tenth, a decompression bomb to a thousandth."""


@contextmanager
def replacing(path: str | Path, beside: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that becomes ``path`` when the block succeeds.

    The file is synced before the rename, so that ``path`` holds the old bytes or all of the
    new ones after a crash. Who may read it, the umask says. On an exception the temporary file is
    removed; a kill leaves it. Jobs remove what earlier attempts left beside their outputs: where
    ``path`` is none, ``beside`` tells the output to put it beside.
    """
    path = Path(path)
    beside = beside or path
    for folder in (path.parent, beside.parent):
        folder.mkdir(parents=True, exist_ok=True)
    temporary = beside.with_name(f".{beside.name}.{secrets.token_hex(4)}{beside.suffix}")
    try:
        with by_umask(temporary) as new:
            yield new
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def by_umask(path: Path) -> Iterator[Path]:
    """Let what the block writes to a new ``path`` be readable as the umask says, however it is
    written: safetensors and others write a private file and rename it."""
    path.touch(exist_ok=False)
    mode = path.stat().st_mode
    yield path
    if path.stat().st_mode != mode:
        path.chmod(mode)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Give ``source`` a second name; copy it where the file system or the owner forbids that."""
    try:
        os.link(Path(source).resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8 with ``\\n`` line ends, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as JSON with sorted keys; NaN is an error, since it is not JSON."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_limited(path: str | Path, limit: int) -> bytes:
    """The bytes of a plain file that has at most ``limit`` of them.

    Raises BrokenFileError where it has more, or is a folder, device or pipe; OSError where it
    cannot be read.
    """
    path = Path(path)
    if _plain_size(path) <= limit:
        with path.open("rb") as file:
            data = file.read(limit + 1)
        if len(data) <= limit:
            return data
    raise BrokenFileError(f"{path}: larger than {limit:,} bytes, which no such file should be")


def _plain_size(path: Path) -> int:
    """Bytes of a plain file. Raises BrokenFileError for what is none."""
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise BrokenFileError(f"{path}: no plain file; name one")
    return about.st_size


def read_json(path: str | Path) -> Any:
    """Read a JSON file of at most ``LARGEST_JSON`` bytes; raises as :func:`parse_json`, and
    OSError where it cannot be read."""
    return parse_json(read_limited(path, LARGEST_JSON), str(path))


def parse_json(data: bytes, where: str) -> Any:
    """The value of JSON text in UTF-8; ``where`` is its file, for errors.

    Raises BrokenFileError where it is none, or is nested too deeply to be one of ours.
    """
    try:
        return json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise BrokenFileError(
            f"{where}: not JSON ({error}); it was damaged or is another file: make it again"
        ) from None


def is_bomb(size: int, stored: int) -> bool:
    """Whether ``size`` bytes are more than ``stored`` bytes may honestly hold."""
    return size > max(SMALL, EXPANSION * stored)


def sha256(path: str | Path) -> str:
    """SHA-256 of a plain file's bytes as 64 hexadecimal digits, in constant memory.

    Raises BrokenFileError for a device or pipe, which need not end.
    """
    digest = hashlib.sha256()
    _plain_size(Path(path))  # raises where it is none
    with Path(path).open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_of_json(value: Any) -> str:
    """SHA-256 of a value's canonical JSON: sorted keys, no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
