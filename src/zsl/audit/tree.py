"""What an artifact was made from: its records, followed down to raw text."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from zsl.audit.changes import setting_changes
from zsl.audit.errors import AuditError
from zsl.files import read_json, sha256_of_json
from zsl.lineage.history import LINEAGE, possible_records
from zsl.lineage.store import Record, Records, sources_of
from zsl.registry import BY_ID
from zsl.registry.names import did_you_mean

SHOWN = ("figures", "tables")
"""Folders of what is shown, whose records ``all`` and ``main`` stand for."""
NO_SETTINGS = ("code", "packages", "threads", "state", "blocks", "caption", "shown")
"""Parameters that no lineage shows as settings: said elsewhere, places, or words."""
PER_RUN = ("run", "segment", "block")
"""Wildcards that jobs of different runs differ in."""


@dataclass(frozen=True)
class Raw:
    """Raw sources of one origin: one file, or all files of a pattern."""

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
    raw: tuple[Raw, ...]
    gaps: tuple[str, ...]
    """What it read of which no record says where it came from."""

    @property
    def run(self) -> str | None:
        """The run that it belongs to."""
        found: str | None = self.record.content.get("wildcards", {}).get("run")
        return found

    @property
    def rule(self) -> str:
        """The rule of the workflow."""
        return str(self.record.content["rule"])


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
    def raw(self) -> list[Raw]:
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
            step, before = _step(record, records)
            steps[record.sha256] = step
            waiting += reversed(before)
    return Lineage(records, tuple(dict.fromkeys(r.sha256 for r in targets)), steps)


def _step(record: Record, records: Records) -> tuple[Step, list[Record]]:
    before: dict[str, Record] = {}
    raw, gaps = list(raw_of(record, records)), list(_unknown_sources(record, records))
    for entry in record.inputs:
        made = maker_of(record, entry, records)
        if made:
            before[made.sha256] = made
            gaps += _not_the_same(record, entry, made)
        elif _is_ours(record, entry):
            gaps.append(f"no record says how {record.inside(entry['path'])} was made")
    return Step(record, tuple(before), tuple(raw), tuple(gaps)), list(before.values())


def maker_of(record: Record, entry: dict[str, Any], records: Records) -> Record | None:
    """The record of the job that made an input: the one it names, else the current one."""
    kept = records.history.get(entry.get("record", ""))
    if kept and kept.sha256 == entry["record"]:
        return kept
    path = record.inside(entry["path"])
    return records.current.get(path) or records.makers.get(path)


def _not_the_same(record: Record, entry: dict[str, Any], made: Record) -> Iterator[str]:
    path = record.inside(entry["path"])
    written = made.outputs.get(path, entry)
    if entry.get("record", made.sha256) != made.sha256:
        yield f"the record of {path} that it names is not kept; the current one is followed"
    elif written["sha256"] != entry["sha256"] and not _same_content(written, entry):
        yield f"it read a {path} of other bytes than its maker recorded"


def _same_content(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.get("logical_sha256", "") == other.get("logical_sha256")


def _is_ours(record: Record, entry: dict[str, Any]) -> bool:
    """Whether an input lay among the results, where a job of ours has to have made it."""
    return not entry.get("external") and str(entry["path"]).startswith(record.start or "results/")


def raw_of(record: Record, records: Records) -> Iterator[Raw]:
    """What a job read that no job made, grouped as the manifest of a corpus groups it."""
    named: set[str] = set()
    for source in _of_manifest(record, records):
        files = {file["origin"]: file["sha256"] for file in source["files"]}
        sizes = [file["size"] for file in source["files"] if "size" in file]
        named |= {*files.values()}
        yield _raw(source.get("origin", ""), files, sum(sizes) if sizes else None)
    for file in record.content.get("facts", {}).get("sources", ()):
        yield Raw(file["origin"], 1, file.get("size"), file["sha256"])
    for entry in record.inputs:
        made = "record" in entry or maker_of(record, entry, records)
        if not made and not _is_ours(record, entry) and entry["sha256"] not in named:
            n_files = len(entry.get("files", ())) or 1
            yield Raw(entry["path"], n_files, entry.get("size"), entry["sha256"])
    yield from _downloaded(record)


def _raw(origin: str, files: dict[str, str], size: int | None) -> Raw:
    digests = list(files.values())
    digest = digests[0] if len(digests) == 1 else sha256_of_json(files)
    return Raw(origin or next(iter(files)), len(files), size, digest)


def _of_manifest(record: Record, records: Records) -> list[dict[str, Any]]:
    path = _manifest(record, records)
    try:
        sources = sources_of(read_json(path)) if path else []
    except ValueError as error:
        raise AuditError(f"{path}: {error}; `zsl audit` says what was changed") from None
    return [source for source in sources if source.get("files")]


def _manifest(record: Record, records: Records) -> Path | None:
    """The manifest of a corpus, where it is there and of the size that was recorded."""
    if record.content["rule"] != "tokens":
        return None
    for path, entry in record.outputs.items():
        there = records.results / path
        if entry.get("name") == "manifest" and there.is_file():
            return there if there.stat().st_size == entry.get("size") else None
    return None


def _unknown_sources(record: Record, records: Records) -> Iterator[str]:
    if record.content["rule"] == "tokens" and not _manifest(record, records):
        yield "the manifest that names the corpus' text is not there, or is another one"


def _downloaded(record: Record) -> Iterator[Raw]:
    """A file that a job did nothing but download."""
    source = record.content.get("params", {}).get("source")
    if isinstance(source, dict) and isinstance(source.get("url"), str) and not record.inputs:
        for entry in record.outputs.values():
            yield Raw(source["url"], 1, entry.get("size"), entry["sha256"])


def settings_of(record: Record) -> dict[str, Any]:
    """Settings of a job by dotted key; of a list of lists or mappings, how many it holds."""
    params = record.content.get("params", {})
    chosen = {key: value for key, value in params.items() if key not in NO_SETTINGS}
    found: dict[str, Any] = {}
    for change in setting_changes({}, chosen):
        name, nested, _ = change.name.partition("[")
        if nested:
            found[name] = f"{_n_items(chosen, name)} items"
        elif change.now not in (None, "", [], {}):
            found[name] = change.now
    return found


def _n_items(value: Any, name: str) -> int:
    for key in name.split("."):
        value = value[key]
    return len(value)


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
    if run := _run(inside, records):
        return [run]
    close = did_you_mean(inside, _names(records))
    raise AuditError(
        f"target {name}: no record is of it; {close}name a figure or table (fig05), a run, main, "
        f"all, or a file of {records.results}"
    )


def _names(records: Records) -> set[str]:
    """Names of targets that there are records of."""
    shown = {path.stem for path in map(PurePosixPath, records.current) if path.parts[1] in SHOWN}
    runs = {r.content.get("wildcards", {}).get("run", "all") for r in records.current.values()}
    return {"all", "main", *shown, *runs}


def _suite(name: str, records: Records) -> list[str]:
    found = []
    for path, record in records.current.items():
        target = BY_ID.get(PurePosixPath(path).stem)
        if PurePosixPath(path).parts[1] in SHOWN:
            wanted = name == "all" or (target is not None and target.suites == ("main",))
        else:
            wanted = name == "all" and record.content["rule"] == "compare"
        found += [path] if wanted else []
    if not found:
        raise AuditError(f"target {name}: no figure or table of it has a record; make it first")
    return found


def _inside(name: str, records: Records, project: Path) -> str:
    path = Path(os.path.abspath(project / name))  # noqa: PTH100 (links are kept as they are)
    for whole, base in (
        (path, Path(os.path.abspath(records.results))),  # noqa: PTH100
        (path.resolve(), records.results.resolve()),
    ):
        if whole.is_relative_to(base) and whole != base:
            return whole.relative_to(base).as_posix()
    return name.removeprefix(f"results/{records.experiment}/")


def _run(run: str, records: Records) -> str | None:
    """The record of the last segment of a run, or of its loss curve where it was imported."""
    of_run = {
        path: record
        for path, record in records.current.items()
        if record.content.get("wildcards", {}).get("run") == run and not record.is_report
    }
    for rule in ("train", "imported_loss"):
        if found := [path for path, each in of_run.items() if each.content["rule"] == rule]:
            return max(found)
    return None
