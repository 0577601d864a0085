"""Entities of a crate: adding one, adding files with their bytes, pointing at one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rocrate.model import ContextEntity, Dataset, File
from rocrate.rocrate import ROCrate

from zsl.crate.artifacts import Artifact, digest

MEDIA_TYPES = {
    "": "text/plain",
    ".cff": "application/yaml",
    ".csv": "text/csv",
    ".h5": "application/x-hdf5",
    ".html": "text/html",
    ".json": "application/json",
    ".lock": "text/plain",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".py": "text/x-python",
    ".sha256": "text/plain",
    ".svg": "image/svg+xml",
    ".tex": "text/x-tex",
    ".toml": "application/toml",
    ".yaml": "application/yaml",
}
"""Media type by suffix; others are not stated."""

Payload = dict[str, Path | bytes]
"""What the zip holds: files or their bytes, by path in it; a folder's ends with ``/``."""


def to(id: str) -> dict[str, str]:
    """A reference to an entity."""
    return {"@id": id}


def all_to(ids: Iterator[str] | list[str]) -> list[dict[str, str]]:
    """References to entities, each once, in the order given."""
    return [to(id) for id in dict.fromkeys(ids)]


def utc(moment: str) -> str:
    """A time of a record with its offset in figures, as the profile's examples have it."""
    return moment.replace("Z", "+00:00")


def fragment(*parts: str) -> str:
    """An identifier inside the crate."""
    return "#" + "/".join(quote(part, safe="/@=.,:+-_") for part in parts)


def short(value: Any) -> str:
    """A few digits that tell values apart, for identifiers."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def add(crate: ROCrate, id: str, type: str | list[str], **properties: Any) -> str:
    """Add an entity that is no file of the crate, unless it is there; properties that are None
    or empty are left out. Returns its identifier.
    """
    if crate.get(id) is None:
        crate.add(ContextEntity(crate, id, properties={"@type": type, **_known(properties)}))
    return id


def add_file(
    crate: ROCrate, payload: Payload, path: str, content: Path | bytes, **properties: Any
) -> str:
    """Add a file with its bytes; media type, size and SHA-256 are filled in."""
    if isinstance(content, bytes):
        found = {"sha256": hashlib.sha256(content).hexdigest(), "contentSize": str(len(content))}
    else:
        found = digest(content)
    return _carry(crate, payload, path, content, found | properties)


def add_folder(
    crate: ROCrate, payload: Payload, path: str, files: Mapping[str, Path], **properties: Any
) -> str:
    """Add a folder as one entity, with the bytes of ``files`` (by path below it)."""
    payload[f"{path}/"] = b""
    payload.update({f"{path}/{name}": file for name, file in files.items()})
    crate.add(Dataset(crate, dest_path=f"{path}/", source=path, properties=_known(properties)))
    return f"{path}/"


def add_artifact(
    crate: ROCrate, payload: Payload, artifact: Artifact, root: Path, **properties: Any
) -> str:
    """Add what a job read or wrote: with its bytes where they are carried, or else by name,
    size and SHA-256.
    """
    known = {
        "name": artifact.path,
        "sha256": artifact.sha256,
        "contentSize": None if artifact.size is None else str(artifact.size),
        **properties,
    }
    source = root / artifact.path
    if not artifact.carried:
        type = "Dataset" if artifact.folder else "File"
        return add(crate, artifact.id, type, encodingFormat=_media_type(artifact.path), **known)
    if artifact.folder:
        files = {name: source / name for name in artifact.files}
        return add_folder(crate, payload, artifact.path, files, **known)
    return _carry(crate, payload, artifact.path, source, known)


def _carry(
    crate: ROCrate, payload: Payload, path: str, content: Path | bytes, known: Mapping[str, Any]
) -> str:
    payload[path] = content
    properties = _known({"name": path, "encodingFormat": _media_type(path), **known})
    crate.add(File(crate, source=path, dest_path=path, properties=properties))
    return quote(path)


def _media_type(path: str) -> str | None:
    return MEDIA_TYPES.get(Path(path).suffix)


def _known(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value not in (None, [], {}, "")}
