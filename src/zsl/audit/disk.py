"""What lies in a folder of results, with the SHA-256 of every file.

Digests are also kept in a cache outside of the project (``$XDG_CACHE_HOME/zsl`` or
``~/.cache/zsl``), so that an audit changes nothing in it. The cache is always written and only
read where asked for: a file whose size, times and inode are those of last time is then taken to be
unchanged.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from zsl.errors import BrokenFileError
from zsl.files import read_json, replacing, sha256
from zsl.lineage.digests import TIMESTAMP

WORKING = ("state", "logs")
"""Folders of the results that hold no artifacts: what interrupted jobs resume from, and logs."""
WORKERS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Disk:
    """The files below a folder of results; paths are relative to it, with ``/``."""

    digests: Mapping[str, str]
    """SHA-256 of plain files."""
    links: Mapping[str, str]
    """Targets of symbolic links, which are not followed."""
    unreadable: Mapping[str, OSError]
    """Files, and folders that cannot be listed, with the reason."""
    folders: frozenset[str]
    n_bytes: int
    from_cache: int
    """Number of files that were not read again."""

    def __contains__(self, path: object) -> bool:
        known = (self.digests, self.links, self.unreadable, self.folders)
        return any(path in some for some in known)

    def hides(self, path: str) -> OSError | None:
        """Why neither a file nor that it is there can be told: that of itself or a folder above."""
        above = (path, *(parent.as_posix() for parent in PurePosixPath(path).parents))
        return next((self.unreadable[each] for each in above if each in self.unreadable), None)

    def below(self, folder: str) -> dict[str, str]:
        """SHA-256 by path relative to ``folder`` of the plain files below it."""
        start = f"{folder}/"
        inside = ((path, digest) for path, digest in self.digests.items() if path.startswith(start))
        return {path.removeprefix(start): digest for path, digest in inside}


def read_disk(results: Path, *, fast: bool = False) -> Disk:
    """Hash all artifacts and records of a folder of results."""
    plain: list[str] = []
    links: dict[str, str] = {}
    folders: set[str] = set()
    closed: dict[Path, OSError] = {}
    for path, kind in _walk(results, closed):
        if kind == "link":
            with suppress(OSError):  # it is gone by now
                links[path] = os.fspath((results / path).readlink())
        elif kind == "folder":
            folders.add(path)
        else:
            plain.append(path)
    hashed = hash_files((results / path for path in plain), cache_file(results), fast=fast)
    shut = hashed.unreadable | closed
    digests = {path: hashed.digests.get(results / path) for path in plain}
    return Disk(
        {path: digest for path, digest in digests.items() if digest},
        links,
        {path.relative_to(results).as_posix(): error for path, error in shut.items()},
        frozenset(folders),
        hashed.n_bytes,
        hashed.from_cache,
    )


def _walk(results: Path, closed: dict[Path, OSError]) -> Iterator[tuple[str, str]]:
    """Files, links and folders, without those of running jobs and logs; ``closed`` is given the
    folders that cannot be listed."""

    def close(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            closed[Path(error.filename)] = error

    for parent, folders, names in os.walk(results, onerror=close):
        here = Path(parent).relative_to(results)
        if here == Path():
            folders[:] = [name for name in folders if name not in WORKING]
        kinds = [*((name, "folder") for name in sorted(folders))]
        kinds += [(name, "file") for name in sorted(names) if name != TIMESTAMP]
        for name, kind in kinds:
            link = Path(parent, name).is_symlink()
            yield (here / name).as_posix(), "link" if link else kind


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
    states = {path: found for path in paths if (found := _state(path)) is not None}
    done = Hashed()
    for path, state in states.items() if fast else ():
        if (entry := known.get(str(path))) and entry[:-1] == state:
            done.digests[path] = str(entry[-1])
    done.from_cache = len(done.digests)
    waiting = sorted(states.keys() - done.digests.keys(), key=lambda path: -states[path][0])
    with ThreadPoolExecutor(WORKERS) as pool:
        for path, digest in zip(waiting, pool.map(_hash, waiting), strict=True):
            if isinstance(digest, str):
                done.digests[path] = digest
            elif not isinstance(digest, FileNotFoundError):
                done.unreadable[path] = digest
    done.n_bytes = sum(states[path][0] for path in done.digests)
    if cache:
        entries = {str(path): [*states[path], found] for path, found in done.digests.items()}
        with suppress(OSError), replacing(cache) as temporary:  # a home may be closed
            temporary.write_text(json.dumps(known | entries), encoding="utf-8")
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
