"""What lies in a folder of results, with the digest of every file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zsl.audit.hashing import Hashed, cache_file, hash_files
from zsl.lineage.digests import TIMESTAMP

WORKING = ("state", "logs")
"""Folders of the results that hold no artifacts: what interrupted jobs resume from, and logs."""


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
    hashed: Hashed

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
        return {
            path[len(start) :]: digest
            for path, digest in self.digests.items()
            if path.startswith(start)
        }


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
    hashed.unreadable.update(closed)
    return Disk(
        {
            path: hashed.digests[results / path]
            for path in plain
            if results / path in hashed.digests
        },
        links,
        {path.relative_to(results).as_posix(): said for path, said in hashed.unreadable.items()},
        frozenset(folders),
        hashed,
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
        for name in sorted(folders):
            link = Path(parent, name).is_symlink()
            yield (here / name).as_posix(), "link" if link else "folder"
        for name in sorted(names):
            if name != TIMESTAMP:
                link = Path(parent, name).is_symlink()
                yield (here / name).as_posix(), "link" if link else "file"
