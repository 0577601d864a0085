"""Acceptances of staleness: reasons why an artifact may stay as it is, for ever on record."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any

from zsl.audit.changes import Change
from zsl.audit.errors import AuditError
from zsl.files import write_json
from zsl.lineage.history import ACCEPTED, LINEAGE
from zsl.lineage.machine import revision
from zsl.lineage.store import Records

SCHEMA = 1


def acceptance_of(records: Records, path: str, changes: list[Change]) -> str | None:
    """The acceptance that covers all ``changes`` of the record at ``path``, if one does.

    It holds for the very record and the very changes that were accepted: whatever changes after
    that is stale again.
    """
    record = records.current.get(path)
    if record is None:
        return None
    for name, acceptance in sorted(records.accepted.items(), reverse=True):
        entry = acceptance.get("records", {}).get(path, {})
        if entry.get("sha256") == record.sha256 and all(
            change.plain() in entry["changes"] for change in changes
        ):
            return name
    return None


def accept(question: Any, target: str, reason: str) -> tuple[Path, int]:
    """Write an acceptance of all that is stale in a target and in what it was made from.

    Returns its path and the number of stale records. Raises AuditError where nothing is stale,
    or where something is worse than stale.
    """
    from zsl.audit.run import judged  # it reads acceptances

    judge, scope = judged(question)
    stale = {
        path: {
            "sha256": record.sha256,
            "changes": [change.plain() for change in judge.changes(path)],
        }
        for path, record in scope.items()
        if judge.changes(path) and judge.acceptance(path) is None
    }
    if not reason.strip():
        raise AuditError("--reason is empty: say why the artifacts may stay as they are")
    outputs = {name for record in scope.values() for name in record.outputs}
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
    inside = path.relative_to(judge.records.results).as_posix()
    write_json(
        path,
        {
            "schema": SCHEMA,
            "path": f"results/{judge.records.experiment}/{inside}",
            "target": target,
            "reason": reason.strip(),
            "time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "git": revision(question.project),
            "records": stale,
        },
    )
    return path, len(stale)
