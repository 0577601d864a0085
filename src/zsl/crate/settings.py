"""Whether the configuration of now is the one that the jobs ran with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zsl.audit.changes import setting_changes
from zsl.audit.errors import AuditError
from zsl.audit.planned import Asking, Planned
from zsl.crate.run import Run
from zsl.lineage.store import Record, settings_of

SHOWN = 3
"""Differences that are shown."""


def configured(params: Mapping[str, Any]) -> dict[str, Any]:
    """Those parameters of a job that come from the configuration."""
    return settings_of(params, "threads")


def contradiction(run: Run) -> str | None:
    """What speaks against the configuration files being those of the jobs; None: nothing.

    Snakemake is asked what it would do with them now, and that is compared with the records.
    """
    made = [job.content["outputs"][0]["path"] for job in run.jobs if job.outputs]
    try:
        planned = Asking(run.root, run.configfiles, ["all"], made).answer()
    except AuditError:
        return (
            "Snakemake cannot plan with the configuration as it is now (zsl audit says why), and "
            "so it could not be compared with the records."
        )
    return compared(run, planned)


def compared(run: Run, planned: Planned) -> str | None:
    """How the recorded settings differ from those that are planned; None: not at all."""
    changes = [found for job in run.jobs if (found := _changes(run, job, planned))]
    if not changes:
        return None
    # The shortest name a setting as it is configured, not as one of a figure's runs.
    said = sorted({change for found in changes for change in found}, key=lambda c: (len(c), c))
    more = [f"and {len(said) - SHOWN} more"] if len(said) > SHOWN else []
    return (
        f"{len(changes)} of {len(run.jobs)} jobs did not run with the configuration as it is now: "
        f"{'; '.join([*said[:SHOWN], *more])}."
    )


def _changes(run: Run, job: Record, planned: Planned) -> list[str]:
    if run.record(job) not in planned.jobs:
        return [f"it has no job {job.name}"]
    if not job.section("params"):
        return []
    recorded, now = job.content["params"], planned.jobs[run.record(job)].params
    return [str(c) for c in setting_changes(configured(recorded), configured(now))]
