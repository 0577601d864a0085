"""Acceptances of staleness: reasons why an artifact may stay as it is, for ever on record."""

from __future__ import annotations

from typing import Any

from zsl.audit.changes import Change
from zsl.audit.records import Records

SCHEMA = 1


def accepted_changes(changes: list[Change]) -> list[dict[str, Any]]:
    """Changes as an acceptance holds them."""
    return [change.plain() for change in changes]


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
