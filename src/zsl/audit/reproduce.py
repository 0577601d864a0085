"""Making artifacts once more from the inputs that their records name, in a scratch folder.

The job of a record is run by Snakemake in a copy of the project made of links, in which nothing
but the recorded inputs lies in ``results``: what is there is neither read nor changed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from zsl.audit.changes import Change, module_changes, parameter_changes
from zsl.audit.different import where_different
from zsl.audit.errors import AuditError
from zsl.audit.planned import SNAKEFILE, Asking, Planned, mirror
from zsl.audit.run import Question, folder_of
from zsl.audit.sources import check_sources
from zsl.audit.tree import records_of
from zsl.files import sha256
from zsl.lineage.artifacts import Declared, described
from zsl.lineage.digests import sha256_of_folder
from zsl.lineage.history import CODE, LINEAGE
from zsl.lineage.store import Record, Records, read_records

GRACE = 30
"""Seconds that an interrupted job has to end."""


@dataclass(frozen=True)
class Reproduced:
    """What making the outputs of one record once more came to."""

    name: str
    outputs: int
    seconds: float
    changes: tuple[Change, ...]
    """How the code and settings of now differ from the recorded ones."""
    differences: dict[str, list[str]] = field(default_factory=dict)
    """By output that came out otherwise: where."""
    altered: dict[str, str] = field(default_factory=dict)
    """By output that is not in the results as it was recorded: what it is instead."""

    @property
    def same(self) -> bool:
        """Whether all bytes are those recorded, those in the results, too."""
        return not self.differences and not self.altered

    def __str__(self) -> str:
        same = self.outputs - len(self.differences)
        lines = [
            f"{self.name}: {same} of {self.outputs} outputs have the recorded bytes "
            f"({self.seconds:.1f} s)"
        ]
        lines += [f"  made with other code or settings than recorded: {c}" for c in self.changes]
        lines += [f"  {path} in the results {said}" for path, said in self.altered.items()]
        for path, said in self.differences.items():
            lines += [f"  {path}", *(f"    {line}" for line in said)]
        return "\n".join(lines)


def reproduce(question: Question) -> Iterator[Reproduced]:
    """Make the question's targets once more, one after the other.

    Raises AuditError where the project is not here, an input is not the recorded one, or a job
    fails.
    """
    plan = question.plan
    records = read_records(folder_of(question, plan))
    if plan is None or plan.experiment.experiment != records.experiment:
        raise AuditError(
            f"no configuration of experiment {records.experiment} in {question.project}: "
            "reproducing needs the project that made it; name its --configfile"
        )
    chosen = _chosen(question, records)
    for record in chosen:
        _check_inputs(record, records)
    outputs = [_in_project(record, records, path) for record in chosen for path in record.outputs]
    planned = Asking(question.project, question.configfiles, outputs, (), question.results).answer()
    for record in chosen:
        _check_sources(record, records, question, planned)
    for record in chosen:
        job = planned.jobs.get(f"results/{records.experiment}/{record.path}")
        changes = parameter_changes(record.content["params"], job.params) if job else []
        if job and job.params.get("code") != record.content["params"].get("code"):
            kept = records.results / LINEAGE / CODE
            changes += module_changes(record.content.get("code", {}), kept, question.project)
        yield _made_again(record, records, question, tuple(changes))


def _chosen(question: Question, records: Records) -> list[Record]:
    """The records of the targets, each once.

    Raises AuditError where a target has none, or is the report's page.
    """
    found = {
        path: name
        for name in question.targets
        for path in records_of(name, records, question.project)
    }
    for path, name in found.items():
        if records.current[path].is_report:
            raise AuditError(
                f"target {name}: the report's page is made from the records themselves, so there "
                "is nothing to compare it with; `zsl root` prints what it shows"
            )
    return [records.current[path] for path in found]


def _in_project(record: Record, records: Records, path: str) -> str:
    return f"results/{records.experiment}/{path}"


def _check_inputs(record: Record, records: Records) -> None:
    """Refuse inputs of other jobs that are not those recorded."""
    for entry in record.inputs:
        inside = record.inside(entry["path"])
        path = records.results / inside
        if inside not in records.makers:
            continue
        if not path.exists():
            raise AuditError(f"{record.name}: its input {inside} is missing; make it first")
        if not _is_recorded(path, entry):
            raise AuditError(
                f"{record.name}: its input {inside} is not the one that was read; "
                f"`zsl audit {quote(inside)}` says why"
            )


def _check_sources(record: Record, records: Records, question: Question, planned: Planned) -> None:
    """Refuse raw inputs that are here and not those recorded."""
    for found in check_sources(records, {record.path: record}, question.project, planned.outside):
        if found.status == "altered":
            raise AuditError(
                f"{record.name}: its raw input {found.path} is not the one that was read: "
                f"{', '.join(found.details)}; bring back the one that is pinned"
            )


def _is_recorded(path: Path, entry: dict[str, Any]) -> bool:
    now = dict(sha256_of_folder(path)) if path.is_dir() else sha256(path)
    return bool(now == entry.get("files", entry["sha256"]))


def _made_again(
    record: Record, records: Records, question: Question, changes: tuple[Change, ...]
) -> Reproduced:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="zsl-reproduce-") as scratch:
        here = mirror(question.project.resolve(), Path(scratch))
        there = here / "results" / records.experiment
        _give_inputs(record, records, there)
        _run(record, records, question, here)
        altered = dict(_altered(record, records.results))
        differences = dict(_compare(record, records.results, there, altered))
    seconds = time.monotonic() - started
    return Reproduced(record.name, len(record.outputs), seconds, changes, differences, altered)


def _give_inputs(record: Record, records: Records, there: Path) -> None:
    there.mkdir()
    for entry in record.inputs:
        inside = record.inside(entry["path"])
        source = records.results / inside
        if source.exists() and inside in records.makers:
            target = there / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source.resolve())


def _run(record: Record, records: Records, question: Question, here: Path) -> None:
    outputs = [_in_project(record, records, path) for path in record.outputs]
    command = [sys.executable, "-m", "snakemake", *outputs, "--cores", str(os.cpu_count() or 1)]
    command += ["--snakefile", SNAKEFILE, "--allowed-rules", record.content["rule"]]
    command += ["--configfile", *(str(path.resolve()) for path in question.configfiles)]
    process = subprocess.Popen(
        command,
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C reaches this process alone, which ends the other
    )
    try:
        out, _ = process.communicate()
    except BaseException:  # interrupted: KeyboardInterrupt or SystemExit
        _end(process)
        raise
    if process.returncode:
        said = out.decode(errors="replace").strip().splitlines()
        raise AuditError(f"{record.name} could not be made again:\n" + "\n".join(said[-30:]))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End Snakemake with its jobs: they are asked to, and killed where that takes too long."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=GRACE)  # until the last of them has closed its output
    except (ProcessLookupError, subprocess.TimeoutExpired):
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _altered(record: Record, results: Path) -> Iterator[tuple[str, str]]:
    """Outputs that are not in the results as they were recorded, with what they are instead."""
    for path, entry in record.outputs.items():
        if not (results / path).exists():
            yield path, "is missing"
        elif not _is_recorded(results / path, entry):
            yield path, "has other bytes than recorded"


def _compare(
    record: Record, results: Path, there: Path, altered: Container[str]
) -> Iterator[tuple[str, list[str]]]:
    """Outputs whose bytes are not those recorded, with where they differ."""
    for path, entry in record.outputs.items():
        (now,) = described([Declared(there / path, None)])
        if now["sha256"] == entry["sha256"]:
            continue
        if path in altered:
            said = ["the recorded bytes are not here, so where they differ cannot be told"]
            if path.endswith(".h5") and now.get("logical_sha256") == entry.get("logical_sha256"):
                said = ["the values are the same, the layout differs"]
        else:
            said = where_different(results / path, there / path)
        yield path, said
