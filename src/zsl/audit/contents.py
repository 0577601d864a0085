"""The bytes of an artifact against those that its record holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zsl.audit.disk import Disk
from zsl.audit.findings import Finding, Kind
from zsl.permissions import ask

SHOWN = 5
"""Files of a folder that are named."""


def wrong_with(disk: Disk, results: Path, name: str, entry: dict[str, Any]) -> Finding | None:
    """What is wrong with the bytes of an output, if anything."""
    if name in disk.links:
        said = f"is a symbolic link to {disk.links[name]}, was none"
        return Finding(name, "altered", (said,), lost=False)
    if error := disk.hides(name):
        return unread(error, name, results)
    if entry["kind"] == "folder":
        return _folder(disk, results, name, entry)
    now = disk.digests.get(name)
    if now is None:
        return Finding(name, "missing")
    if now == entry["sha256"]:
        return None
    return Finding(name, "altered", tuple(_altered(results / name, entry, now)))


def unread(
    error: OSError, name: str, results: Path, kind: Kind = "artifact", files: Sequence[str] = ()
) -> Finding:
    """What is said of an artifact or record, or of ``files`` in it, that cannot be read."""
    more = [f"and {len(files) - SHOWN} more"] if len(files) > SHOWN else []
    if isinstance(error, PermissionError):
        said = (ask(Path(error.filename or results / name), results.absolute()), *files[:SHOWN])
        return Finding(name, "unreadable", (*said, *more), kind=kind)
    why = error.strerror or str(error)
    said = tuple(f"{path} cannot be read: {why}" for path in files[:SHOWN] or [name])
    return Finding(name, "unknown", (*said, *more), kind=kind)


def _folder(disk: Disk, results: Path, name: str, entry: dict[str, Any]) -> Finding | None:
    """The same of a folder: what is missing, was added or differs, and what cannot be read."""
    if name not in disk.folders:
        return Finding(name, "missing")
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
    missing = [n for n in before if n not in {*now, *links, *hidden}]
    added = [n for n in sorted(there) if n not in before]
    differs = [n for n in now if n in before and now[n] != before[n]]
    for words, names in (("is missing", missing), ("was added", added), ("differs", differs)):
        said += [f"{each} {words}{_swapped(each, before, now)}" for each in names[:SHOWN]]
        said += [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    if before and not {*now, *hidden, *links}:
        return Finding(name, "missing", tuple(said))
    unseen = {path: disk.unreadable[start + path] for path, names in closed.items() if names}
    if said:
        said += [f"{path} cannot be read: {why.strerror}" for path, why in unseen.items()]
        extra = tuple(start + path for path in added)
        return Finding(name, "altered", tuple(said), lost=bool(missing or differs), extra=extra)
    first = [path for path, why in unseen.items() if isinstance(why, PermissionError)] or [*unseen]
    return unread(unseen[first[0]], name, results, files=first) if first else None


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
