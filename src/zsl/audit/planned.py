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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zsl.audit.errors import AuditError
from zsl.config.load import load
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
    outside: dict[str, Path]
    """Inputs that lie outside of the project, by name: all that a record holds of them."""
    pending: frozenset[str] = frozenset()
    """Those of ``wanted`` that Snakemake would run."""
    forgotten: frozenset[str] = frozenset()
    """Those of which it remembers nothing, so that it sees no change of settings or code."""


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
        question = {"configfiles": files, "targets": [*targets], "others": sorted(others)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "zsl.audit.planned"],
            cwd=here,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question))
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
        found = json.loads(out)
        jobs = {
            job["record"]: PlannedJob(**{**job, **{key: tuple(job[key]) for key in _LISTS}})
            for job in found["jobs"]
        }
        outside = {name: self._project / path for name, path in found["outside"].items()}
        named = (frozenset(found[key]) for key in ("wanted", "pending", "forgotten"))
        wanted, pending, forgotten = named
        return Planned(jobs, wanted, outside, pending, forgotten)


_LISTS = ("inputs", "outputs")


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


def _plan(question: dict[str, Any]) -> dict[str, Any]:
    """Jobs of the targets, and of the ``others`` that a rule still makes."""
    from snakemake.exceptions import RuleException, WorkflowError

    workflow = _workflow(question["configfiles"], question["targets"])
    wanted = _jobs(workflow)
    pending = [job.output.lineage for job in workflow.dag.needrun_jobs() if _is_recorded(job)]
    remembers = workflow.persistence.has_metadata
    recorded = filter(_is_recorded, workflow.dag.jobs)
    forgotten = [job.output.lineage for job in recorded if not remembers(job)]
    made = {path for job in wanted for path in job["outputs"]}
    others = [
        path
        for path in question["others"]
        if path not in made and any(rule.is_producer(path) for rule in workflow.rules)
    ]
    try:
        found = _jobs(_workflow(question["configfiles"], others)) if others else []
    except (RuleException, WorkflowError):  # what a rule reads may not be made any more
        found = []
    jobs = {job["record"]: job for job in [*found, *wanted]}
    outside = {name: path for job in jobs.values() for name, path in job.pop("outside").items()}
    names = sorted(job["record"] for job in wanted)
    answer = {"jobs": [*jobs.values()], "wanted": names, "outside": outside}
    return {**answer, "pending": pending, "forgotten": forgotten}


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


def _jobs(workflow: Any) -> list[dict[str, Any]]:
    return [described(job) for job in workflow.dag.jobs if _is_recorded(job)]


def _is_recorded(job: Any) -> bool:
    return "lineage" in dict(job.output.items())


def described(job: Any) -> dict[str, Any]:
    """A job of Snakemake's graph in plain values."""
    from zsl.lineage.record import named_values
    from zsl.lineage.values import plain, portable

    here = Path.cwd()
    return {
        "rule": job.rule.name,
        "record": job.output.lineage,
        "params": plain(named_values(job.params), f"params of {job.rule.name}", here),
        "inputs": sorted({portable(path, here)[0] for path in job.input}),
        "outside": {Path(p).name: str(p) for p in job.input if portable(p, here)[1]},
        "outputs": sorted({str(path) for path in job.output} - {str(job.output.lineage)}),
    }


if __name__ == "__main__":
    import contextlib

    from snakemake.exceptions import RuleException, WorkflowError

    from zsl.errors import ZslError

    try:
        with contextlib.redirect_stdout(sys.stderr):
            answer = _plan(json.load(sys.stdin))
    except (ZslError, RuleException, WorkflowError) as error:
        sys.exit(str(error))
    json.dump(answer, sys.stdout)
