"""Training that Snakemake would do again for nothing, found before it begins.

Snakemake tells by times and by its own memory (``.snakemake``) what is to be made. A copy may have
lost both; records have not. What they say is only looked up here, not checked: ``zsl audit`` does
that. Of the graph of jobs that Snakemake has made, the segments are found of which code, settings
and inputs are those recorded and the files are there with the sizes recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zsl.audit.changes import parameter_changes
from zsl.audit.errors import AuditError
from zsl.audit.planned import described
from zsl.files import read_json, sha256

MALFORMED = (ValueError, LookupError, TypeError, AttributeError)
"""What a file that is no record may raise."""
NAMED = 3
"""Segments that are named."""


def require_told(dag: Any, options: str) -> None:
    """Raise AuditError where Snakemake would train again for nothing and was not told to.

    ``dag`` is its graph; ``options`` follow a command on this experiment.
    """
    known = Known(dag)
    jobs = [job for job in dag.needrun_jobs() if job.rule.name == "train"]
    found = sorted(str(job.output.checkpoints) for job in jobs if known.is_made(job))
    if found:
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise AuditError(
            f"Snakemake would train again for nothing: {', '.join(found[:NAMED])}{more}. Code, "
            "settings and inputs are those recorded, and all files are there; times or .snakemake "
            f"were lost, as in a copy without them. Type `zsl audit{options}`: it says whether the "
            "results are whole, and the command that tells Snakemake so. To train again all the "
            "same, add --forcerun train"
        )


class Known:
    """What records say of the jobs of a graph."""

    def __init__(self, dag: Any) -> None:
        self._dag = dag
        self._same: dict[Any, Mapping[str, Any] | None] = {}

    def is_made(self, job: Any) -> bool:
        """Whether what a job makes is there, and it would make the same again."""
        record = self.same(job)
        return record is not None and all(_is_there(entry) for entry in record["outputs"])

    def same(self, job: Any) -> Mapping[str, Any] | None:
        """The record of a job that would do again what it did; None of others."""
        if job not in self._same:
            try:
                self._same[job] = self._compared(job)
            except (*MALFORMED, OSError):  # no record, or no whole one
                self._same[job] = None
        return self._same[job]

    def _compared(self, job: Any) -> Mapping[str, Any] | None:
        if self._dag.reason(job).forced:
            return None
        record, now = read_json(job.output.lineage), described(job)
        before = record["params"]
        inputs = {entry["path"]: entry["sha256"] for entry in record["inputs"]}
        same = (
            before.get("code") == now["params"].get("code")
            and not parameter_changes(before, now["params"])
            and inputs == {path: self._digest(path, job) for path in now["inputs"]}
        )
        return record if same else None

    def _digest(self, path: str, job: Any) -> str | None:
        """SHA-256 of an input: as its maker's record has it, or of the file that no job makes."""
        for maker, files in self._dag.dependencies[job].items():
            if path in files:
                record = self.same(maker) if self._dag.needrun(maker) else _record(maker)
                made = {e["path"]: e["sha256"] for e in record["outputs"]} if record else {}
                return made.get(path)
        return sha256(path)


def _record(job: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = read_json(job.output.lineage)
    return found


def _is_there(entry: Mapping[str, Any]) -> bool:
    """Whether an output is there, of the size that was recorded."""
    path = Path(entry["path"])
    files = [path / name for name in entry["files"]] if entry["kind"] == "folder" else [path]
    return all(file.is_file() for file in files) and (
        sum(file.stat().st_size for file in files) == entry["size"]
    )
