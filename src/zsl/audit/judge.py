"""Every artifact against its record, its inputs' records and what the project would do now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from zsl.audit.accepted import acceptance_of
from zsl.audit.changes import STALE_INPUT, Change, module_changes, parameter_changes
from zsl.audit.contents import unread, wrong_with
from zsl.audit.disk import Disk
from zsl.audit.findings import NOT_MADE, Finding, Status
from zsl.audit.planned import Planned, PlannedJob
from zsl.lineage.history import CODE, LINEAGE, possible_records
from zsl.lineage.store import NAMES, Record, Records
from zsl.permissions import closed


@dataclass
class Judge:
    """What an audit knows, and what it made of it so far."""

    records: Records
    authentic: dict[str, Record]
    """Records that can be believed, by path."""
    disk: Disk
    planned: Planned | None
    """None where the project is not here, or is of another experiment."""
    project: Path
    unplanned: set[str] = field(default_factory=set)
    """Records of which Snakemake could not be asked, as raw sources are not on this machine."""
    _makers: dict[str, Record] = field(default_factory=dict)
    _changes: dict[str, list[Change]] = field(default_factory=dict)
    _modules: dict[str, list[Change]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._makers = {path: r for r in self.authentic.values() for path in r.outputs}

    def artifacts(self) -> Iterator[Finding]:
        """A finding for every artifact that a record or the project declares."""
        for path, record in sorted(self.authentic.items()):
            changes = self.changes(path)
            accepted = self.acceptance(path)
            for name, entry in record.outputs.items():
                wrong = wrong_with(self.disk, self.records.results, name, entry)
                if wrong:
                    yield replace(wrong, n_files=_n(entry))
                elif changes:
                    yield Finding(name, "stale", (), tuple(changes), accepted, n_files=_n(entry))
                else:
                    made_here = _pinned(record) != entry["sha256"]
                    kept: Status = "verified" if made_here else "imported"
                    yield Finding(name, kept, n_files=_n(entry))
        yield from self._declared_only()

    def unrecorded(self) -> Iterator[Finding]:
        """A finding for every file that is of no record."""
        declared = {path for job in self._jobs() for path in job}
        folders = tuple(f"{name}/" for name, r in self._makers.items() if _is_folder(r, name))
        shut = self.disk.folders & set(self.disk.unreadable)
        for path in sorted({*self.disk.digests, *self.disk.links, *self.disk.unreadable}):
            if path in self._makers or path.startswith(folders):
                continue
            if not declared.isdisjoint([path, *map(str, PurePosixPath(path).parents)]):
                continue
            if path in shut and any(name.startswith(f"{path}/") for name in self._makers):
                continue
            in_lineage = path.startswith(f"{LINEAGE}/")
            if in_lineage and (self._is_lineage(path) or path in self.disk.unreadable):
                continue
            said = "left by an interrupted job" if Path(path).name.startswith(".") else ""
            found = Finding(path, "unrecorded", (said,) if said else ())
            yield self._hidden(path, *possible_records(path)) or found

    def changes(self, path: str) -> list[Change]:
        """Why what a record is of is stale; empty where it is not."""
        if path not in self._changes:
            self._changes[path] = []  # records cannot be their own inputs, unless forged
            self._changes[path] = [*self._own_changes(path), *self._changes_before(path)]
        return self._changes[path]

    def acceptance(self, path: str) -> str | None:
        """Path of the acceptance of all that is stale in a record, or in what it was made from."""
        makers = {name: maker.path for name, maker in self._makers.items()}
        found: list[str] = []
        left = []
        for change in self.changes(path):
            before = self.acceptance(makers[change.name]) if change.said == STALE_INPUT else None
            if before:
                found.append(before)
            else:
                left.append(change)
        if any(change.said == STALE_INPUT for change in left):
            return None
        return acceptance_of(self.records, path, left) if left else next(iter(found), None)

    def _own_changes(self, path: str) -> Iterator[Change]:
        record = self.authentic[path]
        yield from self._input_changes(record)
        if self.planned is None:
            return
        job = self.planned.jobs.get(self._planned_path(path))
        if job is None and self._sources_gone(record):
            self.unplanned.add(path)
            yield from module_changes(record.content["code"], self._kept_code, self.project)
            return
        if job is None:
            yield Change("rule", record.content["rule"], record.content["rule"], None)
            return
        yield from _job_changes(record, job)
        before, now = record.content["params"].get("code"), job.params.get("code")
        if before != now:
            yield from self._module_changes(record, str(before), str(now))

    def _sources_gone(self, record: Record) -> bool:
        """Whether raw sources are not on this machine: Snakemake plans no job without them."""
        raw = {e["path"] for e in record.inputs if not e["path"].startswith(self._start)}
        here = self.planned.outside if self.planned else {}
        return any(path not in here and not (self.project / path).exists() for path in raw)

    def _module_changes(self, record: Record, before: str, now: str) -> list[Change]:
        if before not in self._modules:
            code = record.content.get("code", {})
            found = module_changes(code, self._kept_code, self.project)
            self._modules[before] = found or [
                Change("module", code.get("script", "?"), before, now, "imports others")
            ]
        return self._modules[before]

    def _input_changes(self, record: Record) -> Iterator[Change]:
        for entry in record.inputs:
            path = record.inside(entry["path"])
            if (maker := self._makers.get(path)) and not record.is_report:
                now = maker.outputs[path]["sha256"]
                if now != entry["sha256"]:
                    said = "was made anew since, with other bytes"
                    yield Change("input", path, entry["sha256"], now, said)
            elif record.is_report and self.disk.digests.get(path) != entry["sha256"]:
                now = self.disk.digests.get(path)
                yield Change("input", path, entry["sha256"], now, "was written anew since")
            elif not entry.get("external") and not closed(self.project / path):
                yield from self._source_changes(path, entry["sha256"])

    def _source_changes(self, path: str, before: str) -> Iterator[Change]:
        from zsl.files import sha256

        now = sha256(self.project / path) if (self.project / path).is_file() else before
        if now != before:
            yield Change("input", path, before, now, "its bytes are others now")

    def _changes_before(self, path: str) -> Iterator[Change]:
        record = self.authentic[path]
        for name in dict.fromkeys(record.inside(entry["path"]) for entry in record.inputs):
            maker = self._makers.get(name)
            if maker and self.changes(maker.path):
                yield Change("input", name, None, None, STALE_INPUT)

    def _declared_only(self) -> Iterator[Finding]:
        """What the targets need and no record is of."""
        wanted = self.planned.wanted if self.planned else frozenset()
        for path in sorted(wanted):
            record, job = self._inside(path), self.planned.jobs[path]  # type: ignore[union-attr]
            known = self.authentic[record].outputs if record in self.authentic else {}
            for name in map(self._inside, job.outputs):
                if name in known:
                    continue
                if hidden := self._hidden(name, name, record):
                    yield hidden
                elif name in self.disk:
                    yield Finding(
                        name, "unknown", ("its record is missing, or cannot be believed",)
                    )
                else:
                    yield Finding(name, "missing", (NOT_MADE,))

    def _hidden(self, path: str, *files: str) -> Finding | None:
        """What is said of an artifact where this user may not read one of the ``files``."""
        errors = map(self.disk.hides, files)
        shut = next((error for error in errors if isinstance(error, PermissionError)), None)
        return unread(shut, path, self.records.results) if shut else None

    @property
    def wanted(self) -> set[str]:
        """Artifacts that the targets need."""
        jobs = self.planned.jobs if self.planned else {}
        names = self.planned.wanted if self.planned else ()
        return {self._inside(path) for name in names for path in jobs[name].outputs}

    def _jobs(self) -> Iterator[set[str]]:
        for job in self.planned.jobs.values() if self.planned else ():
            yield {self._inside(path) for path in (*job.outputs, job.record)}

    def _is_lineage(self, path: str) -> bool:
        """Whether a file of the folder ``lineage`` belongs there, whatever is in it."""
        inside = path.removeprefix(f"{LINEAGE}/")
        folder, _, file = inside.partition("/")
        if folder in NAMES:
            return NAMES[folder].fullmatch(file) is not None
        known = (self.records.current, self.records.broken, self.disk.links)
        return any(path in some for some in known)

    @property
    def _kept_code(self) -> Path:
        return self.records.results / LINEAGE / CODE

    @property
    def _start(self) -> str:
        return f"results/{self.records.experiment}/"

    def _inside(self, path: str) -> str:
        return path.removeprefix(self._start)

    def _planned_path(self, path: str) -> str:
        return self._start + path


def _job_changes(record: Record, job: PlannedJob) -> Iterator[Change]:
    if record.content["rule"] != job.rule:
        yield Change("rule", "rule", record.content["rule"], job.rule)
    yield from parameter_changes(record.content["params"], job.params)
    before, now = {entry["path"] for entry in record.inputs}, set(job.inputs)
    yield from (Change("input", path, None, None, "is read now") for path in sorted(now - before))
    yield from (Change("input", p, None, None, "is not read now") for p in sorted(before - now))


def _n(entry: dict[str, Any]) -> int:
    return len(entry["files"]) if entry["kind"] == "folder" else 1


def _is_folder(record: Record, name: str) -> bool:
    return bool(record.outputs[name]["kind"] == "folder")


def _pinned(record: Record) -> str | None:
    """The digest that the configuration pins what a record is of by, where it was fetched."""
    source = record.content.get("params", {}).get("source")
    return source.get("sha256") if isinstance(source, dict) else None
