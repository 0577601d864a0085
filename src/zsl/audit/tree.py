"""What an artifact was made from: its records, followed down to raw text."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from zsl.audit.errors import AuditError
from zsl.files import sha256_of_json
from zsl.lineage.history import LINEAGE, possible_records
from zsl.lineage.store import Raw, Record, Records
from zsl.registry import BY_ID
from zsl.registry.names import did_you_mean

SHOWN = ("figures", "tables")
"""Folders of what is shown, whose records ``all`` and ``main`` stand for."""
PER_RUN = ("run", "segment", "block")
"""Wildcards that jobs of different runs differ in."""


@dataclass(frozen=True)
class Source:
    """Raw text of one origin: one file, or all files of a pattern."""

    origin: str
    n_files: int
    size: int | None
    """Bytes, where they are recorded."""
    sha256: str
    """Of the file; of several, of the canonical JSON of their digests by origin."""


@dataclass(frozen=True)
class Step:
    """One job that took part, and what it read."""

    record: Record
    before: tuple[str, ...]
    """Digests of the records of the steps that made its inputs, in their order."""
    raw: tuple[Source, ...]
    gaps: tuple[str, ...]
    """What it read of which no record says where it came from."""

    @property
    def rule(self) -> str:
        """The rule of the workflow."""
        return self.record.rule


@dataclass(frozen=True)
class Lineage:
    """Targets and every step that they rest on."""

    records: Records
    targets: tuple[str, ...]
    """Digests of the targets' records."""
    steps: dict[str, Step]
    """By the digest of the record."""

    @property
    def gaps(self) -> list[str]:
        """Where the way down to raw sources breaks off."""
        return [f"{step.record.name}: {gap}" for step in self.steps.values() for gap in step.gaps]

    @property
    def raw(self) -> list[Source]:
        """All raw sources, each once."""
        return list(dict.fromkeys(raw for step in self.steps.values() for raw in step.raw))


def lineage_of(records: Records, paths: Iterable[str]) -> Lineage:
    """Follow the current records at ``paths`` by the digests of records that they name.

    Where a record names none, the current record of the input's maker is followed.
    """
    targets = [records.current[path] for path in paths]
    steps: dict[str, Step] = {}
    waiting = list(reversed(targets))
    while waiting:
        record = waiting.pop()
        if record.sha256 not in steps:
            makers = [records.maker_of(record, entry) for entry in record.inputs]
            before = {made.sha256: made for made in makers if made}
            gaps = tuple(_gaps(record, makers, records))
            raw = tuple(raw_sources(record, records))
            steps[record.sha256] = Step(record, tuple(before), raw, gaps)
            waiting += reversed(before.values())
    return Lineage(records, tuple(dict.fromkeys(r.sha256 for r in targets)), steps)


def _gaps(record: Record, makers: list[Record | None], records: Records) -> Iterator[str]:
    if record.rule == "tokens" and records.manifest_of(record) is None:
        yield "the manifest that names the corpus' text is not there, or is another one"
    for entry, made in zip(record.inputs, makers, strict=True):
        path = record.inside(entry["path"])
        if made is None:
            if not entry.get("external") and entry["path"].startswith(record.start or "results/"):
                yield f"no record says how {path} was made"
        elif entry.get("record", made.sha256) != made.sha256:
            yield f"the record of {path} that it names is not kept; the current one is followed"
        elif not same_content(made.outputs.get(path, entry), entry):
            yield f"it read a {path} of other bytes than its maker recorded"


def same_content(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two entries of records have the same bytes, or say the same in other bytes."""
    keys = ("sha256", "logical_sha256")
    return any(key in one and one[key] == other.get(key) for key in keys)


def raw_sources(record: Record, records: Records) -> Iterator[Source]:
    """What a job read that no job made, grouped as the manifest of a corpus groups it.

    Raises AuditError where the manifest is none.
    """
    try:
        found = list(records.raw_of(record))
    except ValueError as error:
        raise AuditError(f"{record.path}: {error}; `zsl audit` says what was changed") from None
    named = {raw.sha256 for raw in found if raw.kind == "named"}
    groups: dict[str, list[Raw]] = {}
    for raw in found:
        if raw.kind not in ("input", "external") or raw.sha256 not in named:
            groups.setdefault(raw.group or raw.origin, []).append(raw)
    for origin, files in groups.items():
        digests = {raw.origin: raw.sha256 for raw in files}
        digest = files[0].sha256 if len(digests) == 1 else sha256_of_json(digests)
        sizes = [raw.size for raw in files if raw.size is not None]
        n_files = len(digests) if len(digests) > 1 else files[0].n_files or 1
        yield Source(origin, n_files, sum(sizes) if sizes else None, digest)


def records_of(name: str, records: Records, project: Path) -> list[str]:
    """Paths of the records that a target stands for.

    A target is a figure or table (``fig05``), a file or folder of the results, a record, a run,
    ``main`` (what shows suite main alone, as in ``make main``), or ``all``. A run stands for its
    training up to its last step; one that was imported for its loss curve.

    Raises AuditError where no record is of it.
    """
    if name in ("all", "main"):
        return _suite(name, records)
    inside = _inside(name, records, project)
    shown = [f"{LINEAGE}/{kind}/{inside}.json" for kind in (*SHOWN, inside)]
    for path in [inside, *possible_records(inside), *shown]:
        records.require_readable(path)
        if path in records.current:
            return [path]
    for folder in (PurePosixPath(inside), *PurePosixPath(inside).parents):
        if made := records.makers.get(folder.as_posix()):
            return [made.path]
    if run := runs_of(records).get(inside):
        return [run.path]
    targets = (PurePosixPath(path) for path in records.current)
    names = {path.stem for path in targets if path.parts[1] in SHOWN}
    close = did_you_mean(inside, {"all", "main", *names, *runs_of(records)})
    raise AuditError(
        f"target {name}: no record is of it; {close}name a figure or table (fig05), a run, main, "
        f"all, or a file of {records.results}"
    )


def runs_of(records: Records) -> dict[str, Record]:
    """By run the record of its last segment, or of its loss curve where it was imported."""
    return {
        record.section("wildcards")["run"]: record
        for _, record in sorted(records.current.items())
        if record.rule in ("train", "imported_loss") and "run" in record.section("wildcards")
    }


def _suite(name: str, records: Records) -> list[str]:
    found = []
    for path, record in records.current.items():
        target = BY_ID.get(PurePosixPath(path).stem)
        if PurePosixPath(path).parts[1] in SHOWN:
            wanted = name == "all" or (target is not None and target.suites == ("main",))
        else:
            wanted = name == "all" and record.rule == "compare"
        found += [path] if wanted else []
    if not found:
        raise AuditError(f"target {name}: no figure or table of it has a record; make it first")
    return found


def _inside(name: str, records: Records, project: Path) -> str:
    """A target as a path relative to the results, where it is one of theirs."""
    path = Path(os.path.abspath(project / name))  # noqa: PTH100 (links are kept as they are)
    for whole, base in (
        (path, Path(os.path.abspath(records.results))),  # noqa: PTH100
        (path.resolve(), records.results.resolve()),
    ):
        if whole.is_relative_to(base) and whole != base:
            return whole.relative_to(base).as_posix()
    return name.removeprefix(records.start)
