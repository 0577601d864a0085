"""An audit in words: what is not as it should be, a table, one sentence and one command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
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
    parts = [_heading(audit), *_listed(audit), _table(audit), "\n".join(_checks(audit))]
    parts += ["\n".join(f"Note: {note}" for note in audit.notes)]
    parts += ["\n".join(_root(audit)), sentence(audit, strict=strict), _again(audit)]
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
    if audit.passed(strict):
        accepted = sum(finding.accepted is not None for finding in audit.findings)
        said = f"Verified: {_counted(audit)}"
        said += f"; {accepted} are stale, with an acceptance on record" if accepted else ""
    else:
        wrong = [f for f in audit.findings if not (f.strictly_fine if strict else f.fine)]
        said = f"Not verified: {'; '.join(_reasons(audit, wrong))}"
    if audit.held is not None:
        return f"{said}. The records were held against {audit.held}."
    return (
        f"{said}. The records were held against each other, not against a root kept elsewhere: a "
        "rewrite of an artifact, its record and all records after it would not be seen."
    )


def _counted(audit: Audit) -> str:
    """What was verified, in numbers."""
    made, fetched = (
        sum(finding.kind == "artifact" for finding in audit.of(status))
        for status in ("verified", "imported")
    )
    sources = [finding for finding in audit.findings if finding.kind == "source"]
    away = sum(not finding.here for finding in sources)
    said = f"{made:,} artifacts are what their records say"
    said += ", and what this project would make" if audit.planned else ""
    said += f"; {fetched} were fetched and are what was pinned" if fetched else ""
    said += f"; {len(sources) - away:,} raw sources are those that were read" if sources else ""
    return said + (f", {away:,} more are not on this machine" if away else "")


def _reasons(audit: Audit, wrong: list[Finding]) -> Iterator[str]:
    """Why an audit does not pass; no job makes an acceptance that is gone or cannot be read."""
    counts = Counter(finding.status for finding in wrong)
    if wrong:
        yield ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
    yield from (f"it does not hold that {c.name}" for c in audit.checks if c.holds is False)
    if audit.root_differences:
        yield "the records are not those of the root held"
    for path in dict.fromkeys(finding.path for finding in wrong):
        if path.startswith(f"{LINEAGE}/{ACCEPTED}/") and Path(path).stem.isdigit():
            yield f"nothing but a copy brings back {path}"


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


def _heading(audit: Audit) -> str:
    said = f"{audit.results}: {audit.n_files:,} files, {audit.n_bytes / 1e6:,.0f} MB"
    if audit.from_cache:
        said += f", {audit.from_cache:,} digests from the cache"
        said += "\n(fast: files whose size, times and inode are those of last time were not read)"
    return said


def _listed(audit: Audit) -> Iterator[str]:
    for status, meaning in STATUSES.items():
        groups: dict[tuple[str, ...], list[str]] = {}
        for finding in audit.of(status):
            if not finding.fine or finding.accepted or not finding.here:
                groups.setdefault(_said(finding), []).append(finding.path)
        if not groups:
            continue
        lines = [f"{status} ({meaning}):"]
        for said, paths in list(groups.items())[:LISTED]:
            lines += [f"  {path}" for path in _some(paths)]
            lines += [f"      {line}" for line in _some(said)]
        if len(groups) > LISTED:
            lines.append(f"  and {len(groups) - LISTED} more (--json lists all)")
        yield "\n".join(lines)


def _said(finding: Finding) -> tuple[str, ...]:
    accepted = (f"accepted: {finding.accepted}",) if finding.accepted else ()
    own = [str(change) for change in finding.changes if change.said != STALE_INPUT]
    if finding.changes and not own:
        own = ["made from what is stale"]
    return (*finding.details, *own, *accepted)


def _some(lines: list[str] | tuple[str, ...]) -> list[str]:
    more = [f"and {len(lines) - LINES} more"] if len(lines) > LINES else []
    return [*lines[:LINES], *more]


def _table(audit: Audit) -> str:
    """Findings by folder and status."""
    rows: dict[str, Counter[str]] = {}
    for finding in audit.findings:
        folder = finding.path.partition("/")[0]
        name = {"source": "raw sources", "record": "records"}.get(finding.kind, folder)
        rows.setdefault(name, Counter())[finding.status] += 1
    shown = [status for status in STATUSES if any(row[status] for row in rows.values())]
    head = f"{'':14}" + "".join(f"{status:>12}" for status in shown)
    lines = [
        f"{name:14}" + "".join(f"{row[s] or '':>12}" for s in shown) for name, row in rows.items()
    ]
    return "\n".join([head, *lines])


def _checks(audit: Audit) -> Iterator[str]:
    words = {True: "holds", False: "DOES NOT HOLD", None: "not checked"}
    for check in audit.checks:
        yield f"{words[check.holds]:14}{check.name}"
        if check.holds is not True:
            yield from (f"{'':14}  {said}" for said in check.said[:LINES])


def _root(audit: Audit) -> Iterator[str]:
    said = audit.root_differences
    yield f"root {audit.root}"
    yield from (f"  {line}" for line in said[:LISTED])
    if len(said) > LISTED:
        yield f"  and {len(said) - LISTED} more (--json lists all)"
