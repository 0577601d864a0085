"""Raw sources that no rule declares: files inside of packages, and what was downloaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocrate.rocrate import ROCrate

from zsl.crate.artifacts import Artifacts, key
from zsl.crate.entities import add, fragment
from zsl.crate.errors import CrateError
from zsl.crate.jobs import Job
from zsl.files import read_json
from zsl.lineage.store import sources_of


@dataclass(frozen=True)
class Raw:
    """A file that a job read and that no job made; only its digest is known here."""

    origin: str
    """Where it is from: a package and the path in it, or an address."""
    sha256: str
    size: int | None
    """Bytes, where recorded."""

    @property
    def id(self) -> str:
        """Identifier of its entity."""
        return fragment("raw", f"{self.origin}@{self.sha256[:12]}")


def raw_of(job: Job, artifacts: Artifacts, root: Path) -> list[Raw]:
    """What a job read beside its inputs, each file once, as ``zsl lineage`` finds it.

    The manifest of a corpus names its text; one that is not there any more says nothing.

    Raises :class:`CrateError` where a manifest is none.
    """
    declared = {entry.get("sha256") for entry in job.record.get("inputs", [])}
    named = [file for file in _of_manifest(job, artifacts, root) if file["sha256"] not in declared]
    named += job.record.get("facts", {}).get("sources", ())
    found = [Raw(file["origin"], file["sha256"], file.get("size")) for file in named]
    return list(dict.fromkeys([*found, *_downloaded(job)]))


def add_raw(crate: ROCrate, sources: Sequence[Raw]) -> list[str]:
    """Add raw sources by name, SHA-256 and size; their identifiers."""
    return [
        add(
            crate,
            source.id,
            "File",
            name=source.origin,
            sha256=source.sha256,
            contentSize=None if source.size is None else str(source.size),
            description="Not in this crate, only named; no job made it.",
        )
        for source in sources
    ]


def _of_manifest(job: Job, artifacts: Artifacts, root: Path) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for entry in job.record["outputs"] if job.rule == "tokens" else ():
        # What is carried has the bytes that were recorded.
        if entry.get("name") == "manifest" and artifacts[key(entry)].carried:
            try:
                sources = sources_of(read_json(root / entry["path"]))
            except ValueError as error:
                raise CrateError(f"{entry['path']}: {error}; run its job again") from None
            found += [file for source in sources for file in source.get("files", ())]
    return found


def _downloaded(job: Job) -> Iterator[Raw]:
    """A file that a job did nothing but download."""
    source = job.record.get("params", {}).get("source")
    url = source.get("url") if isinstance(source, dict) else None
    if isinstance(url, str) and not job.record.get("inputs"):
        for entry in job.record["outputs"]:
            if "sha256" in entry:
                yield Raw(url, entry["sha256"], entry.get("size"))
