"""The jobs of an experiment, from its lineage records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from zsl.crate.errors import CrateError
from zsl.files import LARGEST_JSON, parse_json, read_limited
from zsl.lineage.history import HISTORY, LINEAGE
from zsl.lineage.store import check_record

KEPT = {
    "history": "Every record that was ever written, named by its SHA-256.",
    "code": "The source of every module that counted, named by the digest in the records.",
    "accepted": "Changes that were accepted without running jobs again, with the reasons.",
    "provenance": "The record of the page of the report that shows the records.",
}
"""Folders beside the current records, and what is in them."""


@dataclass(frozen=True)
class Job:
    """One job that succeeded."""

    name: str
    """Path of its record below ``lineage/``, without suffix: ``fits/main-19k``."""
    path: str
    """Path of its record from the project's root."""
    record: Mapping[str, Any]
    """What the record says."""

    @property
    def id(self) -> str:
        """Identifier of its action."""
        return f"#job/{self.name}"

    @property
    def rule(self) -> str:
        """The rule that it is a job of."""
        return str(self.record["rule"])

    @property
    def stage(self) -> str:
        """The folder of results that it writes to."""
        return self.name.split("/", 1)[0]

    @property
    def version(self) -> str | None:
        """Commit of the code, with ``-dirty`` where files differed from it; None: not known."""
        git = self.record.get("git", {})
        dirty = "-dirty" if git.get("dirty") else ""
        return f"{git['commit']}{dirty}" if "commit" in git else None

    @property
    def wildcards(self) -> str:
        """Its wildcards as one would type them: ``run=main-19k``."""
        return ", ".join(
            f"{key}={value}" for key, value in self.record.get("wildcards", {}).items()
        )


def jobs_of(results: str, root: Path) -> list[Job]:
    """The jobs whose records are below ``<results>/lineage``, by name.

    Raises :class:`CrateError` where there is no record, or one that cannot be read or that no job
    wrote there.
    """
    folder = root / results / LINEAGE
    found = []
    for path in sorted(folder.rglob("*.json")):
        below = path.relative_to(folder)
        if below.parts[0] in KEPT:
            continue
        where = f"{results}/{LINEAGE}/{below.as_posix()}"
        record = _record(path, where, folder / HISTORY)
        found.append(Job(below.with_suffix("").as_posix(), where, record))
    if not found:
        raise CrateError(
            f"no lineage record below {results}/{LINEAGE}: nothing of this experiment was made "
            "here yet; run snakemake first, from the project's folder"
        )
    return found


def _record(path: Path, where: str, history: Path) -> dict[str, Any]:
    try:
        data = read_limited(path, LARGEST_JSON)
        record = parse_json(data, where)
        missing = [key for key in ("rule", "outputs", "time") if key not in record]
        if not missing:
            _check(record)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise CrateError(f"{where} is no lineage record: {error}; run its job again") from error
    if missing:
        raise CrateError(
            f"{where} is no lineage record: it lacks {', '.join(missing)}; run its job again"
        )
    digest = hashlib.sha256(data).hexdigest()
    if record.get("path", where) != where or not (history / f"{digest}.json").is_file():
        raise CrateError(
            f"{where} is none of the records that jobs wrote there ({LINEAGE}/{HISTORY}): it was "
            "changed, or its copy is gone; `zsl audit` says what is wrong"
        )
    return dict(record)


def _check(record: Mapping[str, Any]) -> None:
    """Raise where a crate could not say, or should not pack, what a record names."""
    check_record(record)
    for key in ("start", "end"):
        datetime.fromisoformat(record["time"][key])
    for key in ("params", "git", "threads", "device", "scheduler", "peak_memory_bytes"):
        if not isinstance(record.get(key, {}), dict):
            raise TypeError(f"{key} is no JSON object")
    json.dumps(record, allow_nan=False)
