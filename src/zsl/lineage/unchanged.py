"""Inputs are what they are taken for: what their jobs wrote, and the same until the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from zsl.lineage.digests import files_in
from zsl.lineage.errors import LineageError
from zsl.lineage.history import Made

Stamp = tuple[int, int, int]
"""Size in bytes, time of the last change in nanoseconds, inode."""


def stamps(paths: Iterable[Path]) -> dict[Path, Stamp | None]:
    """What changes with the bytes of files, and of the files in folders; None of missing ones.

    Cheap: nothing is read.
    """
    files = [
        path / name if name else path
        for path in paths
        for name in (files_in(path) if path.is_dir() else [""])
    ]
    return {file: _stamp(file) for file in files}


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def require_unchanged(before: Mapping[Path, Stamp | None], paths: Iterable[Path]) -> None:
    """Raise :class:`LineageError` where ``stamps(paths)`` are not what they were."""
    now = stamps(paths)
    changed = [path for path in {**before, **now} if before.get(path) != now.get(path)]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise LineageError(
            f"{changed[0]}{more} changed while this job read it, so that what the job made is of "
            "neither the old nor the new; nothing is recorded. End what writes to it, run again"
        )


def require_as_made(path: Path, sha256: str, made: Made) -> None:
    """Raise :class:`LineageError` where an input is not what its job wrote."""
    if made.sha256 != sha256:
        raise LineageError(
            f"{path} is not what its job wrote: SHA-256 {sha256[:16]}… instead of "
            f"{made.sha256[:16]}… (in {made.record}). If a network file system may show it late, "
            "run again; else it was changed or damaged: delete it and run again, and it is made "
            "anew. zsl audit tells whether anything was made from it"
        )
