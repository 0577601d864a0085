"""What an audit says of each artifact."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from zsl.audit.changes import Change
from zsl.lineage.store import Records

Status = Literal[
    "verified", "imported", "stale", "altered", "missing", "unrecorded", "unknown", "unreadable"
]
Kind = Literal["artifact", "record", "source"]
STATUSES: dict[Status, str] = {
    "verified": "the bytes and the code, settings and inputs behind them are those recorded",
    "imported": "made elsewhere; the bytes are those that were pinned",
    "stale": "made with other code, settings or inputs than those of now",
    "altered": "the bytes are not those recorded",
    "missing": "recorded or declared, and not there",
    "unrecorded": "there, and declared by nobody",
    "unknown": "there, and nothing can be said of it: its record is missing or broken",
    "unreadable": "another user's, of which nothing is known: nothing has to be made again",
}
"""All statuses, in the order in which they are shown, with their meaning."""


NOT_MADE = "it was not made yet"
"""Said of what is missing and has no record."""


@dataclass(frozen=True)
class Finding:
    """What is said of one artifact, record or raw source."""

    path: str
    """Relative to the folder of results; of a raw source its origin."""
    status: Status
    details: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    """Of what is stale."""
    accepted: str | None = None
    """Path of the acceptance of its staleness, if all of it is accepted."""
    kind: Kind = "artifact"
    n_files: int = 1
    lost: bool = True
    """Of what is altered or missing: whether bytes that were recorded are shown to be gone."""
    extra: tuple[str, ...] = ()
    """Of a folder that was altered: what was added."""
    here: bool = True
    """Whether the bytes of a raw source are on this machine and were hashed."""

    @property
    def fine(self) -> bool:
        """Whether an audit passes with it."""
        return self.status in ("verified", "imported") or self.accepted is not None

    @property
    def strictly_fine(self) -> bool:
        """Whether a strict audit passes with it: what is imported must be here."""
        return self.status == "verified" or (self.status == "imported" and self.here)

    def plain(self) -> dict[str, Any]:
        """Its fields, as JSON holds them."""
        return {
            "path": self.path,
            "status": self.status,
            "kind": self.kind,
            "details": [*self.details, *map(str, self.changes)],
            "changes": [change.plain() for change in self.changes],
            "accepted": self.accepted,
            "files": self.n_files,
            "here": self.here,
        }


@dataclass(frozen=True)
class Check:
    """One invariant of the study."""

    name: str
    holds: bool | None
    """None where it could not be checked."""
    said: tuple[str, ...] = ()
    """What was found, or why it could not be checked."""


@dataclass
class Audit:
    """Everything that an audit found."""

    results: str
    findings: list[Finding] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    root: str = ""
    held: str | None = None
    """What the root was held against; None where against nothing."""
    root_differences: list[str] = field(default_factory=list)
    """How the records differ from the root held elsewhere."""
    again: int = 0
    """Jobs that Snakemake would run although all that they make, and rest on, is fine; ..."""
    trained_again: int = 0
    """... those of them that train."""
    untold: tuple[str, ...] = ()
    """Targets of Snakemake that stand for these jobs, and for fine ones that it has forgotten."""
    planned: bool = True
    """Whether the artifacts were compared with what the project would do now."""
    running: bool = False
    """Whether a workflow runs in the project, or was killed there."""
    n_files: int = 0
    n_bytes: int = 0
    from_cache: int = 0
    records: Records | None = field(default=None, repr=False)
    """What was read of the records."""

    def of(self, status: Status) -> list[Finding]:
        """The findings of a status."""
        return [finding for finding in self.findings if finding.status == status]

    def passed(self, strict: bool = False) -> bool:
        """Whether everything is as it should be."""
        fine = all(f.strictly_fine if strict else f.fine for f in self.findings)
        held = self.held is None or not self.root_differences
        return fine and held and all(check.holds is not False for check in self.checks)
