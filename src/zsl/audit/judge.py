"""Every artifact against its record, its inputs' records and what the project would do now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from zsl.audit.changes import STALE_INPUT, Change, module_changes, parameter_changes
from zsl.audit.contents import unread, wrong_with
from zsl.audit.disk import Disk
from zsl.audit.findings import NOT_MADE, Finding
from zsl.audit.planned import Planned, PlannedJob
from zsl.files import sha256
from zsl.lineage.history import LINEAGE, possible_records
from zsl.lineage.store import NAMES, Record, Records, makers_of
from zsl.permissions import closed


@dataclass
class Judge:
    """What an audit knows, and what it made of it so far; paths are relative to the results."""

    records: Records
    authentic: dict[str, Record]
    """Records that can be believed, by path."""
    disk: Disk
    planned: Planned | None
    """None where the project is not here, or is of another experiment."""
    project: Path
    unplanned: set[str] = field(default_factory=set)
    """Records of which Snakemake could not be asked, as raw sources are not on this machine."""

    def __post_init__(self) -> None:
        planned = self.planned or Planned({}, frozenset(), {})
        self.makers = makers_of(self.authentic.values())
        self.jobs = {self._inside(path): job for path, job in planned.jobs.items()}
        self.outputs = {path: [*map(self._inside, job.outputs)] for path, job in self.jobs.items()}
        self.wanted = sorted(map(self._inside, planned.wanted))
        """Records of the jobs that the targets need."""
        self._changes: dict[str, list[Change]] = {}
        self._modules: dict[str, list[Change]] = {}

    def _inside(self, path: str) -> str:
        return path.removeprefix(self.records.start)

    def artifacts(self) -> Iterator[Finding]:
        """A finding for every artifact that a record or the project declares."""
        for path, record in sorted(self.authentic.items()):
            changes, accepted = self.changes(path), self.acceptance(path)
            for name, entry in record.outputs.items():
                if _dropped(record, entry) and name not in self.disk:
                    continue
                n_files = len(entry["files"]) if entry["kind"] == "folder" else 1
                if wrong := wrong_with(self.disk, self.records.results, name, entry):
                    yield replace(wrong, n_files=n_files)
                elif changes:
                    yield Finding(name, "stale", (), tuple(changes), accepted, n_files=n_files)
                elif _pinned(record) == entry["sha256"]:
                    yield Finding(name, "imported", n_files=n_files)
                else:
                    yield Finding(name, "verified", n_files=n_files)
        for path in self.wanted:
            known = self.authentic[path].outputs if path in self.authentic else {}
            unknown = (name for name in self.outputs[path] if name not in known)
            yield from (self._unknown(name, path) for name in unknown)

    def _unknown(self, name: str, record: str) -> Finding:
        """What is said of an artifact that the targets need and no record is of."""
        if hidden := self._hidden(name, name, record):
            return hidden
        if name in self.disk:
            said = "its record is missing, or cannot be believed"
            return Finding(name, "unknown", (said,))
        return Finding(name, "missing", (NOT_MADE,))

    def unrecorded(self) -> Iterator[Finding]:
        """A finding for every file that is of no record."""
        made = self.makers.items()
        folders = tuple(f"{name}/" for name, r in made if r.outputs[name]["kind"] == "folder")
        declared = {*self.jobs, *(path for outputs in self.outputs.values() for path in outputs)}
        for path in sorted({*self.disk.digests, *self.disk.links, *self.disk.unreadable}):
            if path in self.makers or path.startswith(folders) or self._is_of_lineage(path):
                continue
            if not declared.isdisjoint([path, *map(str, PurePosixPath(path).parents)]):
                continue
            shut = f"{path}/" if path in self.disk.folders else None
            if shut and any(name.startswith(shut) for name in self.makers):
                continue  # it cannot be listed; each of its files is said
            said = "left by an interrupted job" if Path(path).name.startswith(".") else ""
            found = Finding(path, "unrecorded", (said,) if said else ())
            yield self._hidden(path, *possible_records(path)) or found

    def _is_of_lineage(self, path: str) -> bool:
        """Whether a file belongs to the folder ``lineage``, whatever is in it."""
        if not path.startswith(f"{LINEAGE}/") or path in self.disk.unreadable:
            return path.startswith(f"{LINEAGE}/")
        folder, _, file = path.removeprefix(f"{LINEAGE}/").partition("/")
        if folder in NAMES:
            return NAMES[folder].fullmatch(file) is not None
        known = (self.records.current, self.records.broken, self.disk.links)
        return any(path in some for some in known)

    def _hidden(self, path: str, *files: str) -> Finding | None:
        """What is said of an artifact where this user may not read one of the ``files``."""
        errors = map(self.disk.hides, files)
        shut = next((error for error in errors if isinstance(error, PermissionError)), None)
        return unread(shut, path, self.records.results) if shut else None

    def changes(self, path: str) -> list[Change]:
        """Why what a record is of is stale; empty where it is not."""
        if path not in self._changes:
            self._changes[path] = []  # records cannot be their own inputs, unless forged
            record = self.authentic[path]
            own = [*self._input_changes(record), *self._job_changes(record)]
            self._changes[path] = [*own, *self._changes_before(record)]
        return self._changes[path]

    def acceptance(self, path: str) -> str | None:
        """Path of the acceptance of all that is stale in a record, or in what it was made from.

        It holds for the very record and the very changes that were accepted: whatever changes
        after that is stale again.
        """
        changes = self.changes(path)
        before = [
            self.acceptance(self.makers[change.name].path)
            for change in changes
            if change.said == STALE_INPUT
        ]
        own = [change.plain() for change in changes if change.said != STALE_INPUT]
        if not all(before):
            return None
        if not own:
            return before[0] if before else None
        record = self.records.current.get(path)
        for name, acceptance in sorted(self.records.accepted.items(), reverse=True):
            entry = acceptance["records"].get(path)
            same = record and entry and entry["sha256"] == record.sha256
            if same and all(change in entry["changes"] for change in own):
                return name
        return None

    def _job_changes(self, record: Record) -> Iterator[Change]:
        """How the job of now differs from that of the record."""
        if self.planned is None:
            return
        job = self.jobs.get(record.path)
        if job:
            yield from job_changes(record, job)
            before, now = record.section("params").get("code"), job.params.get("code")
            if before != now:
                yield from self._module_changes(record, str(before), str(now))
        elif self._sources_gone(record):
            self.unplanned.add(record.path)
            yield from module_changes(record.section("code"), self.records.code, self.project)
        else:
            yield Change("rule", record.rule, record.rule, None)

    def _sources_gone(self, record: Record) -> bool:
        """Whether raw sources are not on this machine: Snakemake plans no job without them."""
        raw = {e["path"] for e in record.inputs if not e["path"].startswith(self.records.start)}
        here = self.planned.outside if self.planned else {}
        return any(path not in here and not (self.project / path).exists() for path in raw)

    def _module_changes(self, record: Record, before: str, now: str) -> list[Change]:
        if before not in self._modules:
            code = record.section("code")
            other = Change("module", code.get("script", "?"), before, now, "imports others")
            found = module_changes(code, self.records.code, self.project)
            self._modules[before] = found or [other]
        return self._modules[before]

    def _input_changes(self, record: Record) -> Iterator[Change]:
        """Inputs whose bytes are others now; the report's page reads records."""
        for entry in record.inputs:
            path, before = record.inside(entry["path"]), entry["sha256"]
            now, said = before, ""
            if record.is_report:
                now, said = self.disk.digests.get(path), "was written anew since"
            elif maker := self.makers.get(path):
                now, said = maker.outputs[path]["sha256"], "was made anew since, with other bytes"
            elif not entry.get("external") and _is_open(self.project / path):
                now, said = sha256(self.project / path), "its bytes are others now"
            if now != before:
                yield Change("input", path, before, now, said)

    def _changes_before(self, record: Record) -> Iterator[Change]:
        for name in dict.fromkeys(record.inside(entry["path"]) for entry in record.inputs):
            maker = self.makers.get(name)
            if maker and self.changes(maker.path):
                yield Change("input", name, None, None, STALE_INPUT)


def job_changes(record: Record, job: PlannedJob) -> Iterator[Change]:
    """How a job as it is planned differs from the one of a record, in all but its code."""
    if record.rule != job.rule:
        yield Change("rule", "rule", record.rule, job.rule)
    yield from parameter_changes(record.section("params"), job.params)
    before, now = {entry["path"] for entry in record.inputs}, set(job.inputs)
    yield from (Change("input", path, None, None, "is read now") for path in sorted(now - before))
    yield from (Change("input", p, None, None, "is not read now") for p in sorted(before - now))


def _dropped(record: Record, entry: dict[str, Any]) -> bool:
    """Whether an output is removed once it was read: checkpoints of others, of which the manifest
    stays."""
    return record.rule == "fetch" and entry["kind"] == "folder"


def _is_open(path: Path) -> bool:
    """Whether there is such a file and this user may read it."""
    return not closed(path) and path.is_file()


def _pinned(record: Record) -> str | None:
    """The digest that the configuration pins what a record is of by, where it was fetched."""
    source = record.section("params").get("source")
    return source.get("sha256") if isinstance(source, dict) else None
