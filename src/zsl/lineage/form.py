"""The form of records and manifests: what their readers may rely on, whoever wrote them.

Results may come from others. A record names paths that are read, linked and packed, and digests
that name files, so neither may lead out of the results or of the project.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

_RULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_DIGEST = re.compile(r"(symlink:)?[0-9a-f]{64}")
_NONE = object()
_TEXT, _NUMBER = str, (int, float)
_KINDS: dict[str, Any] = {
    "params": dict,
    "params.packages": {_TEXT: (_TEXT, type(None))},
    "seeds": dict,
    "git": dict,
    "git.commit": _TEXT,
    "git.dirty": bool,
    "environment": dict,
    "environment.python": _TEXT,
    "environment.packages": {_TEXT: _TEXT},
    "device": dict,
    "device.machine": _TEXT,
    "device.cpu": _TEXT,
    "device.cuda": dict,
    "device.cuda.devices": [_TEXT],
    "device.cuda.used": bool,
    "device.cuda.driver": _TEXT,
    "threads": {_TEXT: (int, _TEXT)},
    "scheduler": {_TEXT: _TEXT},
    "peak_memory_bytes": {_TEXT: int},
    "time": dict,
    "time.start": _TEXT,
    "time.end": _TEXT,
    "time.seconds": _NUMBER,
    "facts": dict,
    "code": dict,
}
"""Kinds of what records hold, by dotted key: a type, or those of keys and values, or of items."""
LONGEST = 4096
"""Characters of a path."""


def is_inside(path: object) -> bool:
    """Whether a value is a relative path that leads nowhere but down."""
    if not isinstance(path, str) or not 0 < len(path) <= LONGEST:
        return False
    plain = path.isprintable() and "\\" not in path
    return plain and not path.startswith("/") and ".." not in PurePosixPath(path).parts


def check_record(content: Mapping[str, Any]) -> None:
    """Raise ValueError, LookupError, TypeError or AttributeError where something that a record
    holds is of another kind than records hold there; what it lacks is not missed."""
    _expect(_RULE.fullmatch(content["rule"]), "rule", content["rule"])
    if "path" in content:
        _expect(is_inside(content["path"]), "path", content["path"])
    for key, kind in _KINDS.items():
        _expect(_fits(_at(content, key), kind), key, _at(content, key))
    for name, value in content.get("wildcards", {}).items():
        _expect(_NAME.fullmatch(value), f"wildcard {name}", value)
    if code := content.get("code", {}):
        _expect(is_inside(code["script"]), "script", code["script"])
        _expect(_DIGEST.fullmatch(code["fingerprint"]), "fingerprint", code["fingerprint"])
        for name, digest in code["modules"].items():
            _expect(is_inside(name), "module", name)
            _expect(_DIGEST.fullmatch(digest), f"digest of module {name}", digest)
    for source in content.get("facts", {}).get("sources", ()):
        check_source(source)
    for entry in (*content.get("inputs", ()), *content.get("outputs", ())):
        _check_entry(entry)


def _at(content: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key; _NONE where there is none."""
    value: Any = content
    for part in key.split("."):
        value = value.get(part, _NONE) if isinstance(value, Mapping) else _NONE
    return value


def _fits(value: Any, kind: Any) -> bool:
    if value is _NONE:
        return True
    if isinstance(kind, dict):
        ((_, inner),) = kind.items()
        return isinstance(value, dict) and all(isinstance(item, inner) for item in value.values())
    if isinstance(kind, list):
        return isinstance(value, list) and all(isinstance(item, kind[0]) for item in value)
    return isinstance(value, kind)


def _check_entry(entry: Mapping[str, Any]) -> None:
    path = entry["path"]
    _expect(is_inside(path), "path", path)
    _expect(isinstance(entry.get("name", ""), str), f"name of {path}", entry.get("name"))
    _expect(entry.get("kind", "file") in ("file", "folder"), f"kind of {path}", entry.get("kind"))
    _expect(type(entry.get("size", 0)) is int, f"size of {path}", entry.get("size"))
    digests = [entry[key] for key in ("sha256", "logical_sha256", "record") if key in entry]
    for name, digest in entry.get("files", {}).items():
        _expect(is_inside(name), f"file in {path}", name)
        digests.append(digest)
    for digest in digests:
        _expect(_DIGEST.fullmatch(digest), f"digest of {path}", digest)


def check_source(source: Mapping[str, Any]) -> None:
    """Raise as :func:`check_record` for what is no raw source."""
    _expect(isinstance(source["origin"], str), "origin", source["origin"])
    _expect(_DIGEST.fullmatch(source["sha256"]), "digest of a source", source["sha256"])
    _expect(type(source.get("size", 0)) is int, "size of a source", source.get("size"))


def sources_of(manifest: Any) -> list[dict[str, Any]]:
    """The sources that the manifest of a corpus names, each with its ``origin`` and ``files``.

    Raises ValueError where what it names are none.
    """
    try:
        found = [dict(source) for source in manifest.get("sources", ())]
        for source in found:
            _expect(isinstance(source.get("origin", ""), str), "origin", source.get("origin"))
            for file in source.get("files", ()):
                check_source(file)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"no manifest of a corpus ({error})") from None
    return found


def _expect(kept: object, what: str, value: object) -> None:
    if not kept:
        raise ValueError(f"{what} is {value!r:.100}, which none of ours is")
