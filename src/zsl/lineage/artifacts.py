"""What a record says of the files and folders that a job read or wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zsl.files import read_json
from zsl.lineage.digests import (
    files_in,
    folder_sha256,
    logical_sha256,
    sha256_of_files,
    sha256_of_folder,
)
from zsl.lineage.errors import LineageError
from zsl.lineage.fingerprint import ROOT
from zsl.lineage.values import portable, stays_inside

MANIFEST = ".manifest.json"


@dataclass(frozen=True)
class Declared:
    """A file or folder as the rule declares it."""

    path: Path
    """As Snakemake gives it."""
    name: str | None
    """Keyword under which it is declared, if any."""


def described(
    declared: Sequence[Declared], *, trust: bool = False, root: Path = ROOT
) -> list[dict[str, Any]]:
    """One entry for each file and folder, in the order of declaration.

    ``path`` (with ``external`` where only its name is recorded), ``name``, ``kind`` (file or
    folder), ``size`` in bytes, ``sha256``,``logical_sha256`` for HDF5; of a folder
    also ``files`` with the SHA-256 of each, of which ``sha256`` is the digest.

    With ``trust``, what a manifest among ``declared`` names is not read: its SHA-256 are
    copied, and ``digest_from`` says from where. ``<folder>.manifest.json`` speaks for the
    files of ``<folder>``, ``manifest.json`` for those beside and below it. A folder of which
    the manifest does not name every file, or names others, is read.

    Raises :class:`LineageError` where something declared is missing.
    """
    missing = [str(item.path) for item in declared if not item.path.exists()]
    if missing:
        raise LineageError(f"declared but not there: {', '.join(missing)}")
    manifests = [item.path for item in declared if _is_manifest(item.path)] if trust else []
    known = {item: _cited(item.path, manifests) for item in declared}
    whole = [item.path for item in declared if not known[item] and item.path.is_file()]
    hashed = sha256_of_files(whole)
    return [_entry(item, known[item], hashed, root) for item in declared]


def _entry(
    item: Declared,
    cited: tuple[Path, dict[str, str]] | None,
    hashed: dict[Path, str],
    root: Path,
) -> dict[str, Any]:
    recorded, external = portable(item.path, root)
    entry: dict[str, Any] = {"path": recorded, "kind": "file"}
    if external:
        entry["external"] = True
    if item.name:
        entry["name"] = item.name
    if cited:
        entry["digest_from"] = portable(cited[0], root)[0]
    if item.path.is_dir():
        files = cited[1] if cited else sha256_of_folder(item.path)
        plain = (item.path / name for name in files if not (item.path / name).is_symlink())
        entry |= {"kind": "folder", "size": sum(path.stat().st_size for path in plain)}
        entry |= {"files": files, "sha256": folder_sha256(files)}
        return entry
    entry["size"] = item.path.stat().st_size
    entry["sha256"] = cited[1][""] if cited else hashed[item.path]
    logical = None if cited else logical_sha256(item.path)
    return {**entry, "logical_sha256": logical} if logical else entry


def _is_manifest(path: Path) -> bool:
    return path.name == "manifest.json" or path.name.endswith(MANIFEST)


def _cited(path: Path, manifests: Sequence[Path]) -> tuple[Path, dict[str, str]] | None:
    """The manifest that speaks for a path, and its SHA-256 by path relative to it."""
    for manifest in manifests:
        beside = manifest.name == "manifest.json"
        base = manifest.parent if beside else manifest.with_name(manifest.name[: -len(MANIFEST)])
        if not path.is_relative_to(base):
            continue
        start = path.relative_to(base).as_posix()
        files = {
            Path(name).relative_to(start).as_posix(): digest
            for name, digest in _files(manifest).items()
            if start == "." or Path(name).is_relative_to(start)
        }
        if path.is_file() and "." in files:
            return manifest, {"": files["."]}
        if path.is_dir() and files and list(sorted(files)) == files_in(path):
            return manifest, dict(sorted(files.items()))
    return None


def _files(manifest: Path) -> dict[str, str]:
    """SHA-256 by relative path that a manifest holds; empty where it is of another kind.

    A segment's manifest holds ``files: {path: SHA-256}``. A corpus' one holds lists ``train``
    and ``eval`` of ``{name, sha256}`` in the folder ``tokens``, and ``tokenizer_sha256``.
    """
    content = read_json(manifest)
    found: dict[str, Any] = {}
    try:
        if "files" in content:
            found = dict(content["files"])
        elif "tokenizer_sha256" in content:
            listed = [*content["train"], *content["eval"]]
            tokens = {f"tokens/{file['name']}": file["sha256"] for file in listed}
            found = {"tokenizer.json": content["tokenizer_sha256"], **tokens}
    except (LookupError, TypeError, ValueError):
        return {}
    plain = all(stays_inside(name) and isinstance(digest, str) for name, digest in found.items())
    return found if plain else {}
