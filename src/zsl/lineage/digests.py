"""Digests of files and folders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from zsl.files import sha256, sha256_of_json

TIMESTAMP = ".snakemake_timestamp"
"""Snakemake's mark in a folder output, written after the job: no part of the folder."""

WORKERS = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4)
"""Threads that hash; hashlib releases the interpreter while it does."""


def sha256_of_files(paths: Iterable[str | Path], workers: int = WORKERS) -> dict[Path, str]:
    """SHA-256 by path of several files, hashed at the same time."""
    unique = list(dict.fromkeys(map(Path, paths)))
    with ThreadPoolExecutor(max(1, workers)) as pool:
        return dict(zip(unique, pool.map(sha256, unique), strict=True))


def files_in(folder: str | Path) -> list[str]:
    """Files and symbolic links below a folder, as sorted relative paths with ``/``.

    Raises PermissionError where this user may not list one of its folders.
    """
    found = []
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        kept = [name for name in [*links, *names] if name != TIMESTAMP]
        found += [Path(parent, name).relative_to(folder).as_posix() for name in kept]
    return sorted(found)


def _refuse(error: OSError) -> None:
    if isinstance(error, PermissionError):
        raise error


def sha256_of_folder(folder: str | Path, workers: int = WORKERS) -> dict[str, str]:
    """SHA-256 by relative path of all files below a folder, sorted.

    A symbolic link is not followed: it is given as ``symlink:`` and the SHA-256 of its target
    as written, which says whether it changed and does not show a path of this machine.
    """
    names = files_in(folder)
    plain = [name for name in names if not Path(folder, name).is_symlink()]
    hashed = sha256_of_files((Path(folder, name) for name in plain), workers)
    digests = {name: hashed[Path(folder, name)] for name in plain}
    for name in set(names) - set(plain):
        target = os.fsencode(Path(folder, name).readlink())
        digests[name] = "symlink:" + hashlib.sha256(target).hexdigest()
    return dict(sorted(digests.items()))


def folder_sha256(digests: dict[str, str]) -> str:
    """One digest of a folder, from the digests of its files."""
    return sha256_of_json(digests)


def logical_sha256(path: str | Path) -> str | None:
    """Digest of what an HDF5 file says, whatever its layout; None for other kinds, of which the
    bytes will do: PDFs are written without dates."""
    if Path(path).suffix != ".h5":
        return None
    from zsl.lineage.hdf5 import logical_sha256 as digest  # h5py is slow to import

    return digest(path)
