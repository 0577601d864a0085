"""An audit: everything read, hashed, planned and compared. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zsl.audit.chain import Chain, check_chain
from zsl.audit.disk import Disk, read_disk
from zsl.audit.errors import AuditError
from zsl.audit.findings import Audit, Finding
from zsl.audit.judge import Judge
from zsl.audit.planned import SNAKEFILE, Asking, Planned
from zsl.audit.retrained import untold
from zsl.audit.roots import Held, differences
from zsl.audit.sources import check_sources
from zsl.audit.study import check_study
from zsl.audit.tree import records_of
from zsl.config.load import Plan, load
from zsl.lineage.history import LINEAGE, PROVENANCE
from zsl.lineage.root import counts, root_of
from zsl.lineage.store import Record, Records, closure, makers_of, read_records

LOCKS = Path(".snakemake/locks")


@dataclass(frozen=True)
class Question:
    """What is to be audited, and against what."""

    project: Path
    """The project's root, which may hold the code and settings of now."""
    configfiles: tuple[Path, ...]
    results: Path | None = None
    """Folder of the results; None: the one of the configuration."""
    targets: tuple[str, ...] = ()
    """Figures, tables, rules or files; none: everything."""
    held: Held | None = None
    """A root digest held elsewhere."""
    fast: bool = False

    @property
    def plan(self) -> Plan | None:
        """The plan of the configuration, where the project is here."""
        needed = (self.project / SNAKEFILE, *self.configfiles)
        return load(self.configfiles) if all(path.is_file() for path in needed) else None


def folder_of(question: Question, plan: Plan | None) -> Path:
    """The folder of the results.

    Raises AuditError where none is named and there is no configuration.
    """
    if question.results:
        return question.results
    if plan is None:
        raise AuditError(
            f"no {SNAKEFILE} or configuration in {question.project}: run this from the project's "
            "root, or name a folder of results with --results"
        )
    return question.project / "results" / plan.experiment.experiment


@dataclass(frozen=True)
class Evidence:
    """All that is held against each other, read once."""

    plan: Plan | None
    """None where the configuration is not here, or is of another experiment."""
    chain: Chain
    judge: Judge
    scope: dict[str, Record]
    """The records that the targets rest on, by path; all where none are named."""


def gather(question: Question) -> Evidence:
    """Read the records, hash the files and ask Snakemake; raises as :func:`audit`."""
    plan = question.plan
    results = folder_of(question, plan)
    records = read_records(results)
    if plan and plan.experiment.experiment != records.experiment:
        if question.results is None:
            raise AuditError(
                f"{results} holds records of experiment {records.experiment}, not of "
                f"{plan.experiment.experiment}; name its --configfile, or the folder with --results"
            )
        plan = None
    asking = _ask(question, records) if plan else None
    disk = read_disk(results, fast=question.fast)
    chain = check_chain(records, disk)
    planned = _answer(asking, disk) if asking else None
    judge = Judge(records, chain.authentic, disk, planned, question.project)
    return Evidence(plan, chain, judge, _scope(question, judge))


def audit(question: Question) -> Audit:
    """Make an audit.

    Raises AuditError or LineageError where it cannot be made.
    """
    found = gather(question)
    judge, disk = found.judge, found.judge.disk
    outside = judge.planned.outside if judge.planned else {}
    findings = [*judge.artifacts(), *found.chain.findings]
    if question.targets:
        findings = _within(findings, found)
    else:
        findings += judge.unrecorded()
    findings += check_sources(judge.records, found.scope, question.project, outside)
    wrong = {finding.path for finding in findings if not finding.fine}
    running = found.plan is not None and any((question.project / LOCKS).glob("*"))
    digests = _of_root(disk)
    held = question.held
    return Audit(
        str(judge.records.results),
        findings,
        check_study(judge.records.results, found.scope, found.plan, judge.records.closed),
        [*found.chain.notes, *_notes(found, running, digests)],
        root=root_of(digests),
        held=held.name if held else None,
        root_differences=differences(held, digests) if held else [],
        **untold(judge, wrong, whole=not question.targets),
        planned=judge.planned is not None and not judge.unplanned,
        running=running,
        n_files=len(disk.digests),
        n_bytes=disk.n_bytes,
        from_cache=disk.from_cache,
        records=judge.records,
    )


def _ask(question: Question, records: Records) -> Asking:
    made = [next(iter(record.outputs), None) for record in records.current.values()]
    others = [records.start + path for path in made if path]
    targets = [_target(name, question.project, records) for name in question.targets]
    link = records.results if question.results else None
    return Asking(question.project, question.configfiles, targets or ["all"], others, link)


def _target(name: str, project: Path, records: Records) -> str:
    """A target as Snakemake names it: files of the results by their path in the project."""
    for there in (project / name, records.results / name):
        if there.exists() and there.is_relative_to(records.results):
            return records.start + there.relative_to(records.results).as_posix()
    return name


def _answer(asking: Asking, disk: Disk) -> Planned | None:
    """What Snakemake would do; None where it cannot tell, as there are folders that it may not see.

    Raises AuditError where it cannot tell for another reason.
    """
    try:
        return asking.answer()
    except AuditError:
        if any(isinstance(disk.unreadable.get(each), PermissionError) for each in disk.folders):
            return None
        raise


def _scope(question: Question, judge: Judge) -> dict[str, Record]:
    """The records that the targets rest on; all where none are named.

    Raises AuditError where a target cannot be found.
    """
    if not question.targets:
        return dict(judge.authentic)
    first = judge.wanted
    if judge.planned is None:
        names, project = question.targets, question.project
        first = [path for name in names for path in records_of(name, judge.records, project)]
    paths = closure(first, judge.authentic)
    return {path: record for path, record in judge.authentic.items() if path in paths}


def _within(findings: list[Finding], found: Evidence) -> list[Finding]:
    """Those that are about the targets: their artifacts, and what is wrong with records."""
    about = {*found.scope, *makers_of(found.scope.values())}
    about |= {path for record in found.judge.wanted for path in found.judge.outputs[record]}
    return [f for f in findings if f.path in about or (f.kind == "record" and not f.fine)]


def _notes(found: Evidence, running: bool, digests: dict[str, str]) -> Iterator[str]:
    judge, records = found.judge, found.judge.records
    if running:
        yield "the workflow is running (or was killed): what it is making now counts as missing"
    if found.plan is None:
        yield (
            f"there is no configuration of experiment {records.experiment} here: whether code or "
            "settings have changed since was not checked"
        )
    for path, each in sorted(records.accepted.items()):
        yield f"accepted on {each['time'][:10]}: {each['target']}: {each['reason']} ({path})"
    if found.plan and judge.planned is None:
        yield (
            "Snakemake plans nothing in folders that you may not see: whether code or settings "
            "have changed since was not checked"
        )
    if judge.unplanned:
        yield (
            "Snakemake plans nothing whose raw sources are not here: whether the settings of "
            f"{len(judge.unplanned)} records have changed since was not checked"
        )
    shown = judge.disk.digests.get(f"{PROVENANCE}/records.sha256")
    if shown not in (None, root_of(digests)):  # the listing's own digest is its root
        yield (
            f"the report's page shows the root {shown[:12]}... of before; "
            "`make report` makes it anew"
        )


def _of_root(disk: Disk) -> dict[str, str]:
    """The digests that make the root, by path below ``lineage``."""
    below = disk.below(LINEAGE)
    return {path: digest for path, digest in below.items() if counts(path)}
