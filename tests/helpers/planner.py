"""Snakemake's graph of jobs, asked again and again after changes of a project.

A process imports Snakemake once, and answers each question in a fork of its own: Snakemake changes
the process that it runs in. What an answer says of a job is all that its reruns depend on, but the
bytes of its inputs, so that two answers tell what a change makes again, and nothing has to be made
for that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Planned:
    """A job as Snakemake would run it."""

    rule: str
    name: str | None
    """Path that its lineage record has in common with its artifact, such as ``fits/main-small``."""
    compared: tuple[Any, ...]
    """What Snakemake compares with what it remembers: parameters, and names of inputs."""


class Planner:
    """Answers questions about a project, which may be changed between them."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        path = os.pathsep.join([environment["PYTHONPATH"], str(HERE)])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "planner"],
            cwd=root,
            env={**environment, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def jobs(self, configfile: str = "config/tiny.yaml", *targets: str) -> list[Planned]:
        """All jobs of the targets; of everything where none is named.

        Raises RuntimeError, with what Snakemake said, where it cannot plan them.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        question = {"configfile": configfile, "targets": targets or ("all",)}
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return [Planned(rule, name, tuple(compared)) for rule, name, compared in answer]

    def named(self, configfile: str = "config/tiny.yaml") -> dict[str, tuple[Any, ...]]:
        """What Snakemake compares, by the names of the jobs that have a record."""
        return {job.name: job.compared for job in self.jobs(configfile) if job.name}


def _answer(question: dict[str, Any]) -> list[Any]:
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import (
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        Quietness,
        ResourceSettings,
    )

    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL}, dryrun=True)) as api:
        parsed = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[Path(question["configfile"])]),
            snakefile=Path("Snakefile"),
        )
        parsed.dag(DAGSettings(targets=set(question["targets"])))
        workflow = parsed._workflow
        workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True)
        workflow.async_run(workflow.dag.init())
        return [_described(workflow, job) for job in workflow.dag.jobs]


def _described(workflow: Any, job: Any) -> tuple[str, str | None, list[Any]]:
    record = dict(job.output.items()).get("lineage")
    name = record and str(Path(record).with_suffix("")).partition("/lineage/")[2]
    compared = [sorted({*workflow.persistence._params(job)}), sorted(map(str, job.input))]
    return job.rule.name, name, compared


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _answer({"configfile": "config/tiny.yaml", "targets": ["all"]})  # imports, and reads all code
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                found: Any = _answer(json.loads(line))
            except BaseException as error:  # also an exit, with the words of the workflow
                found = str(error)
            answers.write(json.dumps(found) + "\n")
            answers.flush()
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    _serve()
