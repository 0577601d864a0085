"""SHA-256 of many files at once, with a cache of what was hashed before.

The cache lies outside of the project (``$XDG_CACHE_HOME/zsl`` or ``~/.cache/zsl``), so that an
audit changes nothing in it. It is always written and only read where asked for: a file whose
size, times, and inode are those of last time is then taken to be unchanged.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zsl.errors import BrokenFileError
from zsl.files import read_json, replacing, sha256

WORKERS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Hashed:
    """What hashing came to."""

    digests: dict[Path, str] = field(default_factory=dict)
    """SHA-256 by path, of plain files that were there."""
    unreadable: dict[Path, OSError] = field(default_factory=dict)
    """Files that could not be read, with the reason."""
    n_bytes: int = 0
    """Bytes of the files in ``digests``."""
    from_cache: int = 0
    """Number of files that were not read again."""


def hash_files(paths: Iterable[Path], cache: Path | None = None, *, fast: bool = False) -> Hashed:
    """Hash plain files, the largest first, on all cores; what vanishes meanwhile is left out.

    ``cache`` is the file that digests are kept in; with ``fast`` they are also taken from it.
    """
    known = _read(cache)
    sizes = {path: found for path in paths if (found := _state(path)) is not None}
    done = Hashed()
    for path, state in sizes.items():
        entry = known.get(str(path))
        if fast and entry and entry[:-1] == state:
            done.digests[path] = str(entry[-1])
    done.from_cache = len(done.digests)
    waiting = [path for path in sizes if path not in done.digests]
    waiting.sort(key=lambda path: -sizes[path][0])
    with ThreadPoolExecutor(WORKERS) as pool:
        for path, digest in zip(waiting, pool.map(_hash, waiting), strict=True):
            if isinstance(digest, str):
                done.digests[path] = digest
            elif not isinstance(digest, FileNotFoundError):
                done.unreadable[path] = digest
    done.n_bytes = sum(sizes[path][0] for path in done.digests)
    if cache:
        entries = {str(path): [*sizes[path], found] for path, found in done.digests.items()}
        _write(cache, known | entries)
    return done


def cache_file(results: Path) -> Path:
    """Where the digests of a folder of results are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = hashlib.sha256(str(results.resolve()).encode()).hexdigest()[:16]
    return Path(home) / "zsl" / f"digests-{name}.json"


def _hash(path: Path) -> str | OSError:
    try:
        return sha256(path)
    except OSError as error:
        return error
    except BrokenFileError:
        return OSError("no plain file, but a pipe, socket or device")


def _state(path: Path) -> list[int] | None:
    """Size, time of the last change of bytes and of the file's entry, and inode."""
    try:
        found = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _read(cache: Path | None) -> dict[str, list[Any]]:
    try:
        found = read_json(cache) if cache else {}
    except (OSError, BrokenFileError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(cache: Path, entries: dict[str, list[Any]]) -> None:
    try:
        with replacing(cache) as temporary:
            temporary.write_text(json.dumps(entries), encoding="utf-8")
    except OSError:
        return  # a home that cannot be written to is no reason not to audit
