"""Acceptances of staleness: reasons why an artifact may stay as it is, for ever on record."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from zsl.audit.errors import AuditError
from zsl.audit.run import Question, gather
from zsl.files import write_json
from zsl.lineage.history import ACCEPTED, LINEAGE
from zsl.lineage.machine import revision

SCHEMA = 1


def accept(question: Question, target: str, reason: str) -> tuple[Path, int]:
    """Write an acceptance of all that is stale in a target and in what it was made from.

    Returns its path and the number of stale records. Raises AuditError where nothing is stale,
    or where something is worse than stale.
    """
    found = gather(question)
    judge = found.judge
    stale = {
        path: {
            "sha256": record.sha256,
            "changes": [change.plain() for change in judge.changes(path)],
        }
        for path, record in found.scope.items()
        if judge.changes(path) and judge.acceptance(path) is None
    }
    if not reason.strip():
        raise AuditError("--reason is empty: say why the artifacts may stay as they are")
    outputs = {name for record in found.scope.values() for name in record.outputs}
    worse = [f for f in judge.artifacts() if f.path in outputs and not f.fine and not f.changes]
    if worse:
        raise AuditError(
            f"{worse[0].path} is {worse[0].status}, which cannot be accepted; "
            f"`zsl audit {quote(target)}` says more"
        )
    if not stale:
        raise AuditError(f"nothing of {target} is stale, so there is nothing to accept")
    folder = judge.records.results / LINEAGE / ACCEPTED
    numbers = [int(path.stem) for path in folder.glob("[0-9][0-9][0-9][0-9].json")]
    path = folder / f"{max(numbers, default=0) + 1:04d}.json"
    content = {
        "schema": SCHEMA,
        "path": judge.records.start + path.relative_to(judge.records.results).as_posix(),
        "target": target,
        "reason": reason.strip(),
        "time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "git": revision(question.project),
        "records": stale,
    }
    write_json(path, content)
    return path, len(stale)
