"""What Snakemake would do again for nothing.

Snakemake tells by times and by its own memory (``.snakemake``) what is to be made. A copy may have
lost both; records have not. An audit says which targets it has to be told of (:func:`untold`).
Before it trains, records are only looked up, not checked: :func:`require_told` finds the segments
of which code, settings and inputs are those recorded and the files have the sizes recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from zsl.audit.errors import AuditError
from zsl.audit.judge import Judge, job_changes
from zsl.audit.planned import planned_job
from zsl.files import LARGEST_JSON, read_limited, sha256
from zsl.lineage.store import Record, as_record, closure

NAMED = 3
"""Segments that are named."""


def untold(judge: Judge, wrong: Collection[str], *, whole: bool) -> dict[str, Any]:
    """Fields of an audit (``zsl.audit.findings``) that say what Snakemake has to be told of.

    ``wrong`` are the paths of all findings that are not fine; ``whole``: they are of everything.
    """
    planned, start, authentic = judge.planned, judge.records.start, judge.authentic
    here = judge.records.results.resolve() == (judge.project / start).resolve()
    if planned is None or not here:
        return {}
    bad = {path for path, r in authentic.items() if not {path, *r.outputs}.isdisjoint(wrong)}
    asked = {path.removeprefix(start) for path in planned.pending | planned.forgotten}
    fine = {}
    for path in sorted(asked & authentic.keys()):
        record = authentic[path]
        read = [record.inside(entry["path"]) for entry in record.inputs]  # the report reads records
        if bad.isdisjoint(closure([path, *read], authentic)):
            fine[path] = record
    again = [record for path, record in fine.items() if start + path in planned.pending]
    read_by = {record.inside(e["path"]) for record in fine.values() for e in record.inputs}
    last = [r for r in fine.values() if read_by.isdisjoint({r.path, *r.outputs})]
    targets = tuple(start + min(record.outputs) for record in last)
    return {
        "again": len(again),
        "trained_again": sum(record.rule == "train" for record in again),
        "untold": ("all",) if targets and whole and not wrong else targets,
    }


def require_told(dag: Any, options: str) -> None:
    """Raise AuditError where Snakemake would train again for nothing and was not told to.

    ``dag`` is its graph; ``options`` follow a command on this experiment.
    """
    same = _Same(dag)
    jobs = [job for job in dag.needrun_jobs() if job.rule.name == "train"]
    found = sorted(str(job.output.checkpoints) for job in jobs if same.is_made(job))
    if found:
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise AuditError(
            f"Snakemake would train again for nothing: {', '.join(found[:NAMED])}{more}. Code, "
            "settings and inputs are those recorded, and all files are there; times or .snakemake "
            f"were lost, as in a copy without them. Type `zsl audit{options}`: it says whether the "
            "results are whole, and the command that tells Snakemake so. To train again all the "
            "same, add --forcerun train"
        )


class _Same:
    """Jobs of a graph that would do again what their records say."""

    def __init__(self, dag: Any) -> None:
        self._dag = dag
        self._outputs: dict[Any, list[dict[str, Any]]] = {}

    def is_made(self, job: Any) -> bool:
        """Whether what a job makes is there, and it would make the same again."""
        outputs = self.outputs(job)
        return bool(outputs) and all(map(_is_there, outputs))

    def outputs(self, job: Any) -> list[dict[str, Any]]:
        """The recorded outputs of a job that would do again what it did; none of others."""
        if job not in self._outputs:
            try:
                self._outputs[job] = self._compared(job)
            except (OSError, ValueError, RecursionError):  # no record, or no whole one
                self._outputs[job] = []
        return self._outputs[job]

    def _compared(self, job: Any) -> list[dict[str, Any]]:
        record, now = _record(job), planned_job(job)
        same = (
            not self._dag.reason(job).forced
            and record.section("params").get("code") == now.params.get("code")
            and not [*job_changes(record, now)]
            and all(self._digest(e["path"], job) == e["sha256"] for e in record.inputs)
        )
        return list(record.outputs.values()) if same else []

    def _digest(self, path: str, job: Any) -> str | None:
        """SHA-256 of an input: as its maker's record has it, or of the file that no job makes."""
        for maker, files in self._dag.dependencies[job].items():
            if path in files:
                again = self._dag.needrun(maker)
                made = self.outputs(maker) if again else _record(maker).outputs.values()
                return next((e["sha256"] for e in made if e["path"] == path), None)
        return sha256(path)


def _record(job: Any) -> Record:
    """What the record of a job says now; raises as :func:`as_record`."""
    return as_record(read_limited(job.output.lineage, LARGEST_JSON), str(job.output.lineage))


def _is_there(entry: Mapping[str, Any]) -> bool:
    """Whether an output is there, of the size that was recorded."""
    path = Path(entry["path"])
    files = [path / name for name in entry["files"]] if entry["kind"] == "folder" else [path]
    sizes = [file.stat().st_size for file in files if file.is_file()]
    return len(sizes) == len(files) and sum(sizes) == entry["size"]
