"""The graph of a crate: what ``rocrate`` keeps, with the terms of Workflow Run RO-Crate.

Entities are named by identifiers, which follow from what they describe, so that one can refer to
an entity before it is added, and adding it twice adds it once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from mimetypes import MimeTypes
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rocrate.model import ContextEntity, Dataset, File
from rocrate.rocrate import ROCrate

from zsl.files import sha256

TERMS = "https://w3id.org/ro/terms/workflow-run/context"
MORE_TERMS = {"buildInstructions": "https://codemeta.github.io/terms/buildInstructions"}
MEDIA_TYPES = MimeTypes()
for suffix, media_type in {
    ".cff": "application/yaml",
    ".def": "text/plain",
    ".h5": "application/x-hdf5",
    ".lock": "text/plain",
    ".md": "text/markdown",
    ".sha256": "text/plain",
    ".toml": "application/toml",
    ".yaml": "application/yaml",
}.items():
    MEDIA_TYPES.add_type(media_type, suffix)


def to(ids: str | Iterable[str]) -> Any:
    """A reference to an entity; of several, one to each, or None where there are none."""
    if isinstance(ids, str):
        return {"@id": ids}
    found = [{"@id": id} for id in dict.fromkeys(ids)]
    return found if len(found) > 1 else next(iter(found), None)


def fragment(*parts: str) -> str:
    """An identifier inside the crate."""
    return "#" + "/".join(quote(part, safe="/@=.,:+-_") for part in parts)


def parameter(rule: str, name: str) -> str:
    """Identifier of a parameter of a rule."""
    return fragment("rule", rule, "param", name)


def slot(rule: str, direction: str, name: str | None) -> str:
    """Identifier of an input or output of a rule; those without a keyword are one."""
    return fragment("rule", rule, direction, name or direction)


def kind_of(value: Any) -> str:
    """The type of a value, by its name in schema.org."""
    kinds = {bool: "Boolean", int: "Integer", float: "Float", dict: "PropertyValue"}
    return kinds.get(type(value), "Text")


class Graph(ROCrate):  # type: ignore[misc]
    """Entities of a crate, and the files that go with them; paths are from ``root``."""

    def __init__(self, root: Path) -> None:
        super().__init__(version="1.1")
        self.project = root
        self.metadata.extra_contexts.append(TERMS)
        self.metadata.extra_terms.update(MORE_TERMS)

    def describe(self, id: str, type: str, **properties: Any) -> str:
        """Add an entity that is no file of the crate, unless it is there; properties that are
        None or empty are left out. Returns its identifier."""
        if id not in self:
            self.add(ContextEntity(self, id, {"@type": type, **_known(properties)}))
        return id

    def pack(self, path: str, source: Path | None = None, **properties: Any) -> str:
        """Add a file of the project with its bytes, or another one under this path; its size is
        filled in, and its SHA-256 where it is not given."""
        source = source or self.project / path
        known = {"name": path, "encodingFormat": media_type_of(path), **properties}
        if "sha256" not in known:
            known["sha256"] = sha256(source)
        self.add_file(source, path, properties=_known(known), record_size=True)
        return quote(path)

    def pack_folder(self, path: str, files: Iterable[str], **properties: Any) -> str:
        """Add a folder of the project as one entity, with the bytes of these files below it."""
        self.add(_Folder(self, path, files, _known({"name": path, **properties})))
        return quote(f"{path}/")

    def value(self, name: str, value: Any, room: str = "value", **properties: Any) -> str | None:
        """Add a value under its name, one entity however many jobs have it; None where there is
        nothing to say (``null``, an empty dict). ``room`` begins its identifier.

        A dict is a property value of property values, named with dots; a list is given as its
        JSON, since JSON-LD has no order.
        """
        content = value
        if isinstance(value, dict):
            parts = (self.value(f"{name}.{key}", item) for key, item in sorted(value.items()))
            content = to(part for part in parts if part is not None)
        elif isinstance(value, list):
            content = json.dumps(value, ensure_ascii=False)
        if content is None:
            return None
        written = json.dumps(value, sort_keys=True).encode()
        id = fragment(room, name, hashlib.sha256(written).hexdigest()[:12])
        if id not in self:  # not described: false, 0 and "" are values
            known = {"@type": "PropertyValue", "name": name, "value": content, **properties}
            self.add(ContextEntity(self, id, known))
        return id

    def realize(self, parameter: str, name: str, kind: str, example: str) -> None:
        """Say that an entity is an example of a parameter, which is added; it takes this kind of
        value, too."""
        taken = self.get(self.describe(parameter, "FormalParameter", name=name))
        for entity, key, item in (
            (taken, "additionalType", kind),
            (self.get(example), "exampleOfWork", to(parameter)),
        ):
            known = entity.properties().get(key, [])
            if item not in (known if isinstance(known, list) else [known]):
                entity.append_to(key, item, compact=True)

    def connect(self, source: str, target: str, reader: str) -> None:
        """Say that what one parameter holds is passed on to another, in the step ``reader``."""
        id = fragment("connection", f"{source[1:]}--{target[1:]}")
        if id not in self:
            ends = {"sourceParameter": to(source), "targetParameter": to(target)}
            self.describe(id, "ParameterConnection", **ends)
            self.get(reader).append_to("connection", to(id), compact=True)


class _Folder(Dataset):  # type: ignore[misc]
    """A folder of which some files are packed."""

    def __init__(
        self, crate: Graph, path: str, files: Iterable[str], properties: dict[str, Any]
    ) -> None:
        super().__init__(crate, crate.project / path, path, properties=properties)
        self._files = {f"{path}/{name}": self.source / name for name in files}
        self._path = path

    def stream(self, chunk_size: int = 8192) -> Iterator[tuple[str, bytes]]:
        """Chunks of its files by their paths, after the folder itself."""
        yield f"{self._path}/", b""
        for path, source in self._files.items():
            yield from File(self.crate, source, path).stream(chunk_size)


def media_type_of(path: str) -> str | None:
    """Media type by suffix; None: it is not stated."""
    return MEDIA_TYPES.guess_type(path)[0] or (None if Path(path).suffix else "text/plain")


def _known(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value not in (None, [], {}, "")}
