"""The bytes of an artifact against those that its record holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from zsl.audit.disk import Disk
from zsl.audit.findings import Status

SHOWN = 5
"""Files of a folder that are named."""


def wrong_with(
    disk: Disk, results: Path, name: str, entry: dict[str, Any]
) -> tuple[Status | None, list[str]]:
    """What is wrong with the bytes of an output, if anything."""
    if name in disk.links:
        return "altered", [f"is a symbolic link to {disk.links[name]}, was none"]
    for path in (name, *(str(parent) for parent in PurePosixPath(name).parents)):
        if path in disk.unreadable:
            return "unknown", [f"{path} cannot be read: {disk.unreadable[path]}"]
    if entry["kind"] == "folder":
        return _folder(disk, name, entry)
    now = disk.digests.get(name)
    if now is None:
        return "missing", []
    if now == entry["sha256"]:
        return None, []
    return "altered", list(_altered(results / name, entry, now))


def _folder(disk: Disk, name: str, entry: dict[str, Any]) -> tuple[Status | None, list[str]]:
    """The same of a folder: what is missing, was added or differs, and what cannot be read."""
    if name not in disk.folders:
        return "missing", []
    before, now, start = entry["files"], disk.below(name), f"{name}/"
    links = [p.removeprefix(start) for p in disk.links if p.startswith(start)]
    said = [f"{path} is a symbolic link" for path in links]
    closed = {
        path.removeprefix(start): [n for n in before if f"{start}{n}/".startswith(f"{path}/")]
        for path in disk.unreadable
        if path.startswith(start)
    }
    hidden = {n for names in closed.values() for n in names}
    there = {*now, *(path for path, names in closed.items() if not names)}
    for words, names in (
        ("is missing", [n for n in before if n not in {*now, *links, *hidden}]),
        ("was added", [n for n in sorted(there) if n not in before]),
        ("differs", [n for n in now if n in before and now[n] != before[n]]),
    ):
        said += [f"{each} {words}{_swapped(each, before, now)}" for each in names[:SHOWN]]
        said += [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    unread = [
        f"{path} cannot be read: {disk.unreadable[start + path]}"
        for path, names in closed.items()
        if names
    ]
    if before and not {*now, *hidden}:
        return "missing", said
    return ("altered" if said else "unknown" if unread else None), said + unread


def _swapped(name: str, before: dict[str, str], now: dict[str, str]) -> str:
    """Whose bytes a file has instead, if another file of its folder had them."""
    others = [other for other, digest in before.items() if digest == now.get(name)]
    return f": it has the bytes of {others[0]}" if others and others != [name] else ""


def _altered(path: Path, entry: dict[str, Any], now: str) -> Iterator[str]:
    from zsl.lineage.digests import logical_sha256
    from zsl.lineage.errors import LineageError

    yield f"SHA-256 {now[:12]}, recorded {entry['sha256'][:12]}"
    try:
        size = path.stat().st_size
    except OSError:
        yield "it is gone by now"
        return
    if size != entry["size"]:
        yield f"{size:,} bytes, recorded {entry['size']:,}"
    if "logical_sha256" in entry and path.suffix == ".h5":
        try:
            same = logical_sha256(path) == entry["logical_sha256"]
        except (LineageError, OSError):
            yield "it cannot be read as HDF5 any more"
            return
        yield "its values are those recorded: only the layout differs" if same else "values differ"
