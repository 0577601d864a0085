"""An audit: everything read, hashed, planned and compared. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from zsl.audit.chain import Chain, check_chain
from zsl.audit.disk import Disk, read_disk
from zsl.audit.errors import AuditError
from zsl.audit.findings import Audit, Check, Finding
from zsl.audit.held import Held, differences
from zsl.audit.judge import Judge
from zsl.audit.planned import SNAKEFILE, Asking, Planned
from zsl.audit.sources import check_sources
from zsl.audit.study import check_study
from zsl.audit.tree import records_of
from zsl.audit.untold import untold
from zsl.config.load import Plan, load
from zsl.lineage.history import LINEAGE, PROVENANCE
from zsl.lineage.root import counts, root_of
from zsl.lineage.store import Record, Records, closure, read_records

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
        here = (self.project / SNAKEFILE).is_file()
        return (
            load(self.configfiles) if here and all(p.is_file() for p in self.configfiles) else None
        )


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


def audit(question: Question) -> Audit:
    """Make an audit.

    Raises AuditError where it cannot be made.
    """
    judge, scope, chain, plan = _judged(question)
    records, disk, planned = judge.records, judge.disk, judge.planned
    found = [*judge.artifacts(), *chain.findings]
    if question.targets:
        found = [finding for finding in found if _within(finding, scope, judge.wanted)]
    else:
        found += judge.unrecorded()
    outside = planned.outside if planned else {}
    sources = check_sources(records, scope, question.project, outside)
    notes = [*chain.notes, *_notes(question, plan, records)]
    if plan and planned is None:
        notes.append(
            "Snakemake plans nothing in folders that you may not see: whether code or settings "
            "have changed since was not checked"
        )
    if judge.unplanned:
        notes.append(
            "Snakemake plans nothing whose raw sources are not here: whether the settings of "
            f"{len(judge.unplanned)} records have changed since was not checked"
        )
    result = Audit(
        str(records.results),
        found + sources,
        [_checked(check, records) for check in check_study(records.results, scope, plan)],
        notes,
        planned=planned is not None and not judge.unplanned,
        **untold(judge, chain, [*found, *sources], whole=not question.targets),
        running=_is_running(question, plan),
        n_files=len(disk.digests),
        n_bytes=disk.hashed.n_bytes,
        from_cache=disk.hashed.from_cache,
    )
    return _held(result, question, disk)


def _checked(check: Check, records: Records) -> Check:
    """A check that fails, where records that may speak for it are not readable, was not made."""
    if check.holds is not False or not records.closed:
        return check
    return replace(check, holds=None, said=("some records are not readable by you", *check.said))


def judged(question: Question) -> tuple[Judge, dict[str, Record]]:
    """A judge of the results, and the records that the targets rest on; raises as :func:`audit`."""
    judge, scope, _, _ = _judged(question)
    return judge, scope


def _judged(question: Question) -> tuple[Judge, dict[str, Record], Chain, Plan | None]:
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
    asking = _ask(question, records, results) if plan else None
    disk = read_disk(results, fast=question.fast)
    chain = check_chain(records, disk)
    planned = _answer(asking, disk) if asking else None
    judge = Judge(records, chain.authentic, disk, planned, question.project)
    return judge, _scope(question, records, chain, planned), chain, plan


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


def _ask(question: Question, records: Records, results: Path) -> Asking:
    start = f"results/{records.experiment}/"
    others = [f"{start}{next(iter(r.outputs))}" for r in records.current.values() if r.outputs]
    targets = [_target(name, question.project, results, start) for name in question.targets]
    link = results if question.results else None
    return Asking(question.project, question.configfiles, targets or ["all"], others, link)


def _target(name: str, project: Path, results: Path, start: str) -> str:
    """A target as Snakemake names it: files of the results by their path in the project."""
    path = Path(name) if Path(name).is_absolute() else project / name
    for base, there in ((results, path), (results, results / name)):
        if there.exists() and there.is_relative_to(base):
            return start + there.relative_to(base).as_posix()
    return name


def _scope(
    question: Question, records: Records, chain: Chain, planned: Planned | None
) -> dict[str, Record]:
    """The records that the targets rest on; all where none are named.

    Raises AuditError where a target cannot be found.
    """
    if not question.targets:
        return dict(chain.authentic)
    start = f"results/{records.experiment}/"
    if planned:
        first = [path.removeprefix(start) for path in planned.wanted]
    else:
        names = question.targets
        first = [path for name in names for path in records_of(name, records, question.project)]
    paths = closure(first, chain.authentic) | set(first)
    return {path: record for path, record in chain.authentic.items() if path in paths}


def _within(finding: Finding, scope: dict[str, Record], wanted: set[str]) -> bool:
    """Whether a finding is about the targets: their artifacts, and whatever ails the records."""
    if finding.kind == "record":
        return finding.path in scope or not finding.fine
    outputs = {path for record in scope.values() for path in record.outputs}
    return finding.path in outputs or finding.path in wanted


def _is_running(question: Question, plan: Plan | None) -> bool:
    locks = question.project / LOCKS
    return plan is not None and locks.is_dir() and any(locks.iterdir())


def _notes(question: Question, plan: Plan | None, records: Records) -> list[str]:
    notes = []
    if _is_running(question, plan):
        notes.append(
            "the workflow is running (or was killed): what it is making now counts as missing"
        )
    if plan is None:
        notes.append(
            f"there is no configuration of experiment {records.experiment} here: whether code or "
            "settings have changed since was not checked"
        )
    if records.accepted:
        notes += [
            f"accepted on {each['time'][:10]}: {each['target']}: {each['reason']} ({path})"
            for path, each in sorted(records.accepted.items())
        ]
    return notes


def _held(result: Audit, question: Question, disk: Disk) -> Audit:
    start = f"{LINEAGE}/"
    digests = {
        path.removeprefix(start): digest
        for path, digest in disk.digests.items()
        if path.startswith(start) and counts(path.removeprefix(start))
    }
    result = replace(result, root=root_of(digests))
    shown = disk.digests.get(f"{PROVENANCE}/records.sha256")
    if shown is not None and shown != result.root:  # the listing's own digest is its root
        result.notes.append(
            f"the report's page shows the root {shown[:12]}... of before; "
            "`make report` makes it anew"
        )
    if question.held is None:
        return result
    return replace(
        result, held=question.held.name, root_differences=differences(question.held, digests)
    )
