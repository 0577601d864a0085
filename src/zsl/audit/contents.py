"""The bytes of an artifact against those that its record holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zsl.audit.disk import Disk
from zsl.audit.findings import Finding, Kind
from zsl.lineage.digests import logical_sha256
from zsl.lineage.errors import LineageError
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
        return _folder(disk, results, name, entry["files"])
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
    if isinstance(error, PermissionError):
        said = [ask(Path(error.filename or results / name), results.absolute())]
        return Finding(name, "unreadable", (*said, *_some(files)), kind=kind)
    why = error.strerror or str(error)
    said = [f"{line} cannot be read: {why}" for line in files[:SHOWN] or [name]]
    return Finding(name, "unknown", (*said, *_some(files)[SHOWN:]), kind=kind)


def _folder(disk: Disk, results: Path, name: str, before: dict[str, str]) -> Finding | None:
    """The same of a folder: what is missing, was added or differs, and what cannot be read."""
    if name not in disk.folders:
        return Finding(name, "missing")
    now, start = disk.below(name), f"{name}/"
    links = [path.removeprefix(start) for path in disk.links if path.startswith(start)]
    closed = {
        path.removeprefix(start): error
        for path, error in disk.unreadable.items()
        if path.startswith(start)
    }
    hides = {path: [n for n in before if f"{n}/".startswith(f"{path}/")] for path in closed}
    hidden = {n for names in hides.values() for n in names}
    new = {*now, *(path for path, names in hides.items() if not names)} - set(before)
    missing = [n for n in before if n not in {*now, *links, *hidden}]
    differs = [n for n in now if n in before and now[n] != before[n]]
    if before and not {*now, *hidden, *links}:
        return Finding(name, "missing", tuple(_some([f"{n} is missing" for n in missing])))
    said = [f"{path} is a symbolic link" for path in links]
    said += _some([f"{n} is missing" for n in missing])
    said += _some([f"{n} was added{_swapped(n, before, now)}" for n in sorted(new)])
    said += _some([f"{n} differs{_swapped(n, before, now)}" for n in differs])
    unseen = [path for path, names in hides.items() if names]
    if said:
        said += [f"{path} cannot be read: {closed[path].strerror}" for path in unseen]
        extra = tuple(start + path for path in sorted(new))
        return Finding(name, "altered", tuple(said), lost=bool(missing or differs), extra=extra)
    private = [path for path in unseen if isinstance(closed[path], PermissionError)] or unseen
    return unread(closed[private[0]], name, results, files=private) if private else None


def _some(lines: Sequence[str]) -> list[str]:
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return [*lines[:SHOWN], *more]


def _swapped(name: str, before: dict[str, str], now: dict[str, str]) -> str:
    """Whose bytes a file has instead, if another file of its folder had them."""
    others = [other for other, digest in before.items() if digest == now.get(name)]
    return f": it has the bytes of {others[0]}" if others and others != [name] else ""


def _altered(path: Path, entry: dict[str, Any], now: str) -> Iterator[str]:
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
