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
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
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
    differences: dict[str, list[str]]
    """By output that came out otherwise: where."""
    altered: dict[str, str]
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
    outputs = [f"{records.start}{path}" for record in chosen for path in record.outputs]
    planned = Asking(question.project, question.configfiles, outputs, (), question.results).answer()
    for record in chosen:
        _check_sources(record, records, question, planned)
    for record in chosen:
        job = planned.jobs.get(f"{records.start}{record.path}")
        changes = parameter_changes(record.section("params"), job.params) if job else []
        if job and job.params.get("code") != record.section("params").get("code"):
            changes += module_changes(record.section("code"), records.code, question.project)
        yield _made_again(record, records, question, tuple(changes))


def _chosen(question: Question, records: Records) -> list[Record]:
    """The records of the targets, each once.

    Raises AuditError where a target has none or is the report's page, or where an input is not
    the recorded one.
    """
    chosen: dict[str, Record] = {}
    for name in question.targets:
        for path in records_of(name, records, question.project):
            chosen[path] = record = records.current[path]
            if record.is_report:
                raise AuditError(
                    f"target {name}: the report's page is made from the records themselves, so "
                    "there is nothing to compare it with; `zsl root` prints what it shows"
                )
            for inside, entry in _inputs(record, records):
                if (said := _altered(records.results / inside, entry)) == "is missing":
                    raise AuditError(f"{record.name}: its input {inside} {said}; make it first")
                if said:
                    raise AuditError(
                        f"{record.name}: its input {inside} is not the one that was read; "
                        f"`zsl audit {quote(inside)}` says why"
                    )
    return list(chosen.values())


def _inputs(record: Record, records: Records) -> Iterator[tuple[str, dict[str, Any]]]:
    """Inputs that other jobs made, by path relative to the results."""
    entries = ((record.inside(entry["path"]), entry) for entry in record.inputs)
    return ((path, entry) for path, entry in entries if path in records.makers)


def _check_sources(record: Record, records: Records, question: Question, planned: Planned) -> None:
    """Refuse raw inputs that are here and not those recorded."""
    for found in check_sources(records, {record.path: record}, question.project, planned.outside):
        if found.status == "altered":
            raise AuditError(
                f"{record.name}: its raw input {found.path} is not the one that was read: "
                f"{', '.join(found.details)}; bring back the one that is pinned"
            )


def _altered(path: Path, entry: Mapping[str, Any]) -> str:
    """What a file or folder is instead of the one recorded; empty where it is that one."""
    if not path.exists():
        return "is missing"
    now = sha256_of_folder(path) if path.is_dir() else sha256(path)
    return "" if now == entry.get("files", entry["sha256"]) else "has other bytes than recorded"


def _made_again(
    record: Record, records: Records, question: Question, changes: tuple[Change, ...]
) -> Reproduced:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="zsl-reproduce-") as scratch:
        here = mirror(question.project.resolve(), Path(scratch))
        there = here / records.start
        there.mkdir()
        for inside, _ in _inputs(record, records):
            (there / inside).parent.mkdir(parents=True, exist_ok=True)
            (there / inside).symlink_to((records.results / inside).resolve())
        _run(record, records, question, here)
        before = {
            path: _altered(records.results / path, entry) for path, entry in record.outputs.items()
        }
        altered = {path: said for path, said in before.items() if said}
        differences = {
            path: said
            for path, entry in record.outputs.items()
            if (said := _different(records.results / path, there / path, entry, path in altered))
        }
    seconds = time.monotonic() - started
    return Reproduced(record.name, len(record.outputs), seconds, changes, differences, altered)


def _different(before: Path, now: Path, entry: Mapping[str, Any], altered: bool) -> list[str]:
    """Where an output differs from the recorded one; nothing where its bytes are those."""
    (made,) = described([Declared(now, None)])
    if made["sha256"] == entry["sha256"]:
        return []
    if not altered:
        return where_different(before, now)
    if "logical_sha256" in entry and made.get("logical_sha256") == entry["logical_sha256"]:
        return ["the values are the same, the layout differs"]
    return ["the recorded bytes are not here, so where they differ cannot be told"]


def _run(record: Record, records: Records, question: Question, here: Path) -> None:
    outputs = [f"{records.start}{path}" for path in record.outputs]
    command = [sys.executable, "-m", "snakemake", *outputs, "--cores", str(os.cpu_count() or 1)]
    command += ["--snakefile", SNAKEFILE, "--allowed-rules", record.rule]
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
