"""An audit in words: what is not as it should be, a table, one sentence and one command."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from zsl.audit.changes import STALE_INPUT
from zsl.audit.findings import STATUSES, Audit, Finding
from zsl.lineage.history import ACCEPTED, LINEAGE

LISTED = 40
"""Findings of one status that are listed, before the rest are counted."""
LINES = 8
"""Lines that are said of one finding."""


def as_text(audit: Audit, command: str, *, strict: bool = False) -> str:
    """The audit for people."""
    parts = [_heading(audit), *_listed(audit), _table(audit), _checks(audit)]
    parts += ["\n".join(f"Note: {note}" for note in audit.notes)]
    parts += [_root(audit), sentence(audit, strict=strict), _again(audit)]
    if command and (audit.untold or not audit.passed(strict)):
        what = "Tell it so" if audit.passed(strict) else "Mend it"
        when = ", once the workflow has ended," if audit.running else ""
        parts.append(f"{what}{when} with:\n  {command}")
    return "\n\n".join(part for part in parts if part)


def as_json(audit: Audit, command: str, *, strict: bool = False) -> dict[str, Any]:
    """The audit for programs."""
    return {
        "results": audit.results,
        "passed": audit.passed(strict),
        "sentence": sentence(audit, strict=strict),
        "command": command,
        "running": audit.running,
        "run_again_for_nothing": audit.again,
        "root": audit.root,
        "held_against": audit.held,
        "root_differences": audit.root_differences,
        "compared_with_project": audit.planned,
        "files": audit.n_files,
        "bytes": audit.n_bytes,
        "digests_from_cache": audit.from_cache,
        "counts": {status: len(audit.of(status)) for status in STATUSES},
        "findings": [finding.plain() for finding in audit.findings],
        "checks": [{"name": c.name, "holds": c.holds, "said": [*c.said]} for c in audit.checks],
        "notes": audit.notes,
    }


def sentence(audit: Audit, *, strict: bool = False) -> str:
    """What an audit came to, in one sentence, and what it was held against."""
    wrong = [f for f in audit.findings if not (f.strictly_fine if strict else f.fine)]
    broken = [check.name for check in audit.checks if check.holds is False]
    accepted = sum(f.accepted is not None for f in audit.findings)
    if audit.passed(strict):
        said = f"Verified: {_counted(audit)}"
        said += f"; {accepted} are stale, with an acceptance on record" if accepted else ""
    else:
        reasons = [_of_status(wrong)] if wrong else []
        reasons += [f"it does not hold that {name}" for name in broken]
        reasons += ["the records are not those of the root held"] if audit.root_differences else []
        reasons += [f"nothing but a copy brings back {path}" for path in _acceptances(wrong)]
        said = f"Not verified: {'; '.join(reasons)}"
    return f"{said}. {_against(audit)}"


def _again(audit: Audit) -> str:
    """What Snakemake would do to what is fine."""
    if not audit.untold:
        return ""
    said = "But Snakemake remembers nothing of some of it, and would not see that settings change"
    if audit.again:
        trained = f" ({audit.trained_again} of training)" if audit.trained_again else ""
        said = f"But Snakemake would run jobs again for nothing: {audit.again}{trained}"
    return (
        f"{said}. It tells by times and by its memory, .snakemake, which were lost, as in a copy "
        "without them; `rsync -a` of the whole project keeps both."
    )


def _counted(audit: Audit) -> str:
    artifacts = [f for f in audit.of("verified") if f.kind == "artifact"]
    made = [f for f in audit.of("imported") if f.kind == "artifact"]
    sources = [f for f in audit.findings if f.kind == "source"]
    away = sum(not f.here for f in sources)
    said = f"{len(artifacts):,} artifacts are what their records say"
    said += ", and what this project would make" if audit.planned else ""
    said += f"; {len(made)} were fetched and are what was pinned" if made else ""
    said += f"; {len(sources) - away:,} raw sources are those that were read" if sources else ""
    return said + (f", {away:,} more are not on this machine" if away else "")


def _of_status(findings: list[Finding]) -> str:
    counts = Counter(finding.status for finding in findings)
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])


def _acceptances(findings: list[Finding]) -> list[str]:
    """Acceptances that are gone or cannot be read: no job makes one."""
    start = f"{LINEAGE}/{ACCEPTED}/"
    numbered = [
        f.path for f in findings if f.path.startswith(start) and Path(f.path).stem.isdigit()
    ]
    return [*dict.fromkeys(numbered)]


def _against(audit: Audit) -> str:
    if audit.held is not None:
        return f"The records were held against {audit.held}."
    return (
        "The records were held against each other, not against a root kept elsewhere: a rewrite "
        "of an artifact, its record and all records after it would not be seen."
    )


def _heading(audit: Audit) -> str:
    cached = f", {audit.from_cache:,} digests from the cache" if audit.from_cache else ""
    said = f"{audit.results}: {audit.n_files:,} files, {audit.n_bytes / 1e6:,.0f} MB{cached}"
    if audit.from_cache:
        said += "\n(fast: files whose size, times and inode are those of last time were not read)"
    return said


def _listed(audit: Audit) -> list[str]:
    parts = []
    for status, meaning in STATUSES.items():
        found = [f for f in audit.of(status) if not f.fine or f.accepted or not f.here]
        if not found:
            continue
        groups: dict[tuple[str, ...], list[Finding]] = {}
        for finding in found:
            groups.setdefault(_said(finding), []).append(finding)
        lines = [f"{status} ({meaning}):"]
        for said, members in list(groups.items())[:LISTED]:
            lines += [f"  {path}" for path in _paths(members)]
            lines += [f"      {line}" for line in said[:LINES]]
            lines += [f"      and {len(said) - LINES} more"] if len(said) > LINES else []
        if len(groups) > LISTED:
            lines.append(f"  and {len(groups) - LISTED} more (--json lists all)")
        parts.append("\n".join(lines))
    return parts


def _said(finding: Finding) -> tuple[str, ...]:
    accepted = (f"accepted: {finding.accepted}",) if finding.accepted else ()
    own = [str(change) for change in finding.changes if change.said != STALE_INPUT]
    if finding.changes and not own:
        own = ["made from what is stale"]
    return (*finding.details, *own, *accepted)


def _paths(members: list[Finding]) -> list[str]:
    """Paths of findings of which the same is said."""
    paths = [finding.path for finding in members]
    return [*paths[:LINES], *([f"and {len(paths) - LINES} more"] if len(paths) > LINES else [])]


def _table(audit: Audit) -> str:
    """Findings by folder and status."""
    rows: dict[str, Counter[str]] = {}
    for finding in audit.findings:
        rows.setdefault(_folder(finding), Counter())[finding.status] += 1
    shown = [status for status in STATUSES if any(row[status] for row in rows.values())]
    head = f"{'':14}" + "".join(f"{status:>12}" for status in shown)
    lines = [
        f"{name:14}" + "".join(f"{row[s] or '':>12}" for s in shown) for name, row in rows.items()
    ]
    return "\n".join([head, *lines])


def _folder(finding: Finding) -> str:
    if finding.kind == "source":
        return "raw sources"
    return "records" if finding.kind == "record" else finding.path.partition("/")[0]


def _checks(audit: Audit) -> str:
    words = {True: "holds", False: "DOES NOT HOLD", None: "not checked"}
    lines = []
    for check in audit.checks:
        lines.append(f"{words[check.holds]:14}{check.name}")
        if check.holds is not True:
            lines += [f"{'':14}  {said}" for said in check.said[:LINES]]
    return "\n".join(lines)


def _root(audit: Audit) -> str:
    said = audit.root_differences
    lines = [f"root {audit.root}", *(f"  {line}" for line in said[:LISTED])]
    lines += [f"  and {len(said) - LISTED} more (--json lists all)"] if len(said) > LISTED else []
    return "\n".join(lines)
