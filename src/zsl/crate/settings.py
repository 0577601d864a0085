"""Whether the configuration of now is the one that the jobs ran with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zsl.audit.changes import setting_changes
from zsl.audit.errors import AuditError
from zsl.audit.planned import Asking, Planned
from zsl.crate.jobs import Job

NOT_CONFIGURED = ("code", "packages", "state", "blocks", "caption", "shown", "printed")
"""Parameters of rules that are no settings of the configuration: digests and pins, places of files
and which of them hold what, words about an artifact, and files that the code brings."""
SHOWN = 3
"""Differences that are shown."""


def contradiction(
    jobs: Sequence[Job], configfiles: Sequence[Path], root: Path = Path()
) -> str | None:
    """What speaks against these configuration files being those of the jobs; None: nothing.

    Snakemake is asked what it would do with them now, and that is compared with the records.
    """
    made = [str(job.record["outputs"][0]["path"]) for job in jobs if job.record["outputs"]]
    try:
        planned = Asking(root, configfiles, ["all"], made).answer()
    except AuditError:
        return (
            "Snakemake cannot plan with the configuration as it is now (zsl audit says why), and "
            "so it could not be compared with the records."
        )
    return compared(jobs, planned)


def compared(jobs: Sequence[Job], planned: Planned) -> str | None:
    """How the recorded settings differ from those that are planned; None: not at all."""
    changes = {job.name: found for job in jobs if (found := _changes(job, planned))}
    if not changes:
        return None
    # The shortest name a setting as it is configured, not as one of a figure's runs.
    said = sorted({change for found in changes.values() for change in found}, key=_length)
    more = [f"and {len(said) - SHOWN} more"] if len(said) > SHOWN else []
    return (
        f"{len(changes)} of {len(jobs)} jobs did not run with the configuration as it is now: "
        f"{'; '.join([*said[:SHOWN], *more])}."
    )


def _length(change: str) -> tuple[int, str]:
    return len(change), change


def _changes(job: Job, planned: Planned) -> list[str]:
    if job.path not in planned.jobs:
        return [f"it has no job {job.name}"]
    if "params" not in job.record:
        return []
    before, now = (
        {name: value for name, value in params.items() if name not in NOT_CONFIGURED}
        for params in (job.record["params"], planned.jobs[job.path].params)
    )
    return [str(change) for change in setting_changes(before, now)]
