"""What the project would do now: the jobs of Snakemake's graph, with their parameters.

Snakemake writes below ``.snakemake`` even when it only looks, so it is run in a folder of its
own that links to the project. Run as a program (``python -m zsl.audit.planned``), since Snakemake
changes the process it runs in; :class:`Asking` does that beside other work.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from zsl.audit.errors import AuditError
from zsl.config.load import load
from zsl.errors import ZslError
from zsl.lineage.record import named_values
from zsl.lineage.values import plain, portable
from zsl.registry import BY_ID
from zsl.registry.names import did_you_mean

SNAKEFILE = "Snakefile"
MEMORY = ".snakemake/metadata"
"""What Snakemake remembers of each file that it made."""


@dataclass(frozen=True)
class PlannedJob:
    """A job as the project declares it now."""

    rule: str
    record: str
    """Path of its record, relative to the project's root, as all paths here."""
    params: dict[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Planned:
    """What the project would do now."""

    jobs: dict[str, PlannedJob]
    """By path of the record: jobs of the targets, and of what else was asked about."""
    wanted: frozenset[str]
    """Records of the jobs that the targets need."""
    outside: dict[str, list[Path]]
    """Inputs that lie outside of the project, by name: all that a record holds of them. Several may
    have one name, such as those of checkpoints."""
    pending: frozenset[str] = frozenset()
    """Those of ``wanted`` that Snakemake would run."""
    forgotten: frozenset[str] = frozenset()
    """Those of which it remembers nothing, so that it sees no change of settings or code."""


_PLANNED = TypeAdapter(Planned)


class Asking:
    """Snakemake, asked in a process of its own while the caller goes on."""

    def __init__(
        self,
        project: Path,
        configfiles: Sequence[Path],
        targets: Sequence[str],
        others: Iterable[str] = (),
        results: Path | None = None,
    ) -> None:
        """``others`` are artifacts of which the jobs are wanted, too, where there are any;
        ``results`` stands for the folder ``results/<experiment>`` of the project."""
        self._scratch = tempfile.TemporaryDirectory(prefix="zsl-audit-")
        self._project, self._targets = project.resolve(), targets
        here = mirror(self._project, Path(self._scratch.name))
        _link_results(self._project, here, results, configfiles)
        if (self._project / MEMORY).is_dir():  # it is only read
            (here / MEMORY).parent.mkdir()
            (here / MEMORY).symlink_to(self._project / MEMORY)
        files = [str(path.resolve()) for path in configfiles]
        command = [sys.executable, "-m", "zsl.audit.planned"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, cwd=here, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        assert self._process.stdin is not None
        json.dump([files, [*targets], sorted(others)], self._process.stdin)
        self._process.stdin.close()
        self._process.stdin = None

    def answer(self) -> Planned:
        """Wait for the answer.

        Raises AuditError, with what Snakemake said, where there is none.
        """
        with self._scratch:
            try:
                out, said = self._process.communicate()
            except BaseException:  # interrupted: it goes before the folder that it is in
                self._process.kill()
                self._process.wait()
                raise
        if self._process.returncode:
            close = [did_you_mean(name, BY_ID) for name in self._targets if name not in BY_ID]
            raise AuditError(
                f"Snakemake cannot plan the targets: {said.strip()}\n{''.join(close)}"
                "Targets are figures, tables (`zsl targets` lists them), rules or files of results."
            )
        found = _PLANNED.validate_json(out)
        outside = found.outside.items()
        here = {name: [self._project / path for path in paths] for name, paths in outside}
        return replace(found, outside=here)


def mirror(project: Path, scratch: Path) -> Path:
    """Give a folder in ``scratch`` everything of the project but its results; returns it.

    Relative paths of a configuration may lead out of the project: two folders above it are
    there, too, where they may be listed (those of all homes often may not).
    """
    above = project.parents[1::-1] if len(project.parents) > 1 else project.parents[:1]
    here = scratch
    for folder, inner in zip(above, [*above[1:], project], strict=True):
        with suppress(PermissionError):
            _link(folder, here, {inner.name})
        here = here / inner.name
        here.mkdir()
    _link(project, here, {".snakemake", "results"})
    (here / "results").mkdir()
    return here


def _link_results(
    project: Path, here: Path, results: Path | None, configfiles: Sequence[Path]
) -> None:
    """Link the results; a copy, whatever its folder is called, stands for the experiment's."""
    name = load(configfiles).experiment.experiment if results else ""
    if results:
        (here / "results" / name).symlink_to(results.resolve())
    if (project / "results").is_dir():
        _link(project / "results", here / "results", {name})


def _link(folder: Path, target: Path, without: set[str]) -> None:
    for path in folder.iterdir():
        if path.name not in without:
            (target / path.name).symlink_to(path)


def _plan(configfiles: list[str], targets: list[str], others: list[str]) -> Planned:
    """Jobs of the targets, and of the ``others`` that a rule still makes."""
    from snakemake.exceptions import RuleException, WorkflowError

    workflow = _workflow(configfiles, targets)
    wanted = [job for job in workflow.dag.jobs if _is_recorded(job)]
    pending = [job.output.lineage for job in workflow.dag.needrun_jobs() if _is_recorded(job)]
    memory = workflow.persistence
    told = [job for job in wanted if job.rule.name != "fetch"]  # of these it is to remember nothing
    forgotten = [job.output.lineage for job in told if not memory.has_metadata(job)]
    made = {path for job in wanted for path in job.output}
    asked = [
        path
        for path in others
        if path not in made and any(rule.is_producer(path) for rule in workflow.rules)
    ]
    more = []
    if asked:
        with suppress(RuleException, WorkflowError):  # what a rule reads may not be made any more
            more = [*filter(_is_recorded, _workflow(configfiles, asked).dag.jobs)]
    return Planned(
        {job.output.lineage: planned_job(job) for job in [*more, *wanted]},
        frozenset(job.output.lineage for job in wanted),
        _by_name(path for job in [*more, *wanted] for path in _outside(job)),
        frozenset(pending),
        frozenset(forgotten),
    )


def _workflow(configfiles: list[str], targets: list[str]) -> Any:
    """Snakemake's workflow with the graph of the jobs of these targets."""
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import (
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        Quietness,
        RerunTrigger,
        ResourceSettings,
    )

    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL}, dryrun=True)) as api:
        workflow_api = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[Path(path) for path in configfiles]),
            snakefile=Path(SNAKEFILE),
        )
        triggers = {RerunTrigger.MTIME, RerunTrigger.PARAMS, RerunTrigger.INPUT}  # the profile's
        workflow_api.dag(DAGSettings(targets=set(targets), rerun_triggers=triggers))
        workflow = workflow_api._workflow
        workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True)
        workflow.async_run(workflow.dag.init())
    return workflow


def _is_recorded(job: Any) -> bool:
    return "lineage" in dict(job.output.items())


def _outside(job: Any) -> list[str]:
    """Inputs of a job that lie outside of the project."""
    return [str(path) for path in job.input if portable(path, Path.cwd())[1]]


def _by_name(paths: Iterable[str]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted({*paths}):
        found.setdefault(Path(path).name, []).append(Path(path))
    return found


def planned_job(job: Any) -> PlannedJob:
    """A job of Snakemake's graph in plain values."""
    here, record = Path.cwd(), str(job.output.lineage)
    params = plain(named_values(job.params), f"params of {job.rule.name}", here)
    after = job.input.get("after", [])
    waited_for = {after} if isinstance(after, str) else {*after}
    read = {str(path) for path in job.input} - {str(path) for path in waited_for}
    inputs = sorted({portable(path, here)[0] for path in read})
    outputs = sorted({str(path) for path in job.output} - {record})
    return PlannedJob(job.rule.name, record, params, tuple(inputs), tuple(outputs))


if __name__ == "__main__":
    from snakemake.exceptions import RuleException, WorkflowError

    try:
        with redirect_stdout(sys.stderr):
            planned = _plan(*json.load(sys.stdin))
    except (ZslError, RuleException, WorkflowError) as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(_PLANNED.dump_json(planned))
