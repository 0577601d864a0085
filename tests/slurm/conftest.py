"""What ``sbatch`` is called with for each rule, found without a scheduler."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LINKED = ("Snakefile", "workflow", "config", "src", "requirements.lock")
CLUSTER = {
    "sbatch": 'n=$(ls "$SBATCH_CALLS" | wc -l); printf "%s\\0" "$@" > "$SBATCH_CALLS/$n"; echo 1',
    "sinfo": 'printf "PARTITION\\ndebug\\nbatch*\\n"',
    "sacct": "true",
    "sacctmgr": "echo my-account",
    "squeue": "true",
    "scontrol": 'echo "MinJobAge = 300 sec"',
}


def lay_out(folder: Path) -> Path:
    """Make a folder that is the project without its results."""
    folder.mkdir()
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    own = shutil.ignore_patterns("site.yaml")
    shutil.copytree(ROOT / "profiles", folder / "profiles", ignore=own)
    (folder / "slurm").symlink_to("profiles/slurm")
    return folder


@dataclass(frozen=True)
class Submission:
    """The call of ``sbatch`` for one job."""

    arguments: tuple[str, ...]

    @property
    def rule(self) -> str:
        return self.value("--comment").removeprefix("rule_").split("_wildcards_")[0]

    def values(self, *options: str) -> list[str]:
        """What stands behind an option, as ``--option=value`` or ``--option value``."""
        joined = [argument.partition("=") for argument in self.arguments]
        apart = [value for option, value in pairwise(self.arguments) if option in options]
        return [value for option, equals, value in joined if option in options and equals] + apart

    def value(self, *options: str) -> str:
        """The value of an option that is given once."""
        (value,) = self.values(*options)
        return value


@dataclass(frozen=True)
class Rendered:
    """The jobs by rule, one of each, and the settings they were submitted with."""

    jobs: dict[str, Submission]
    settings: dict[str, Any]

    def given(self, option: str) -> dict[str, str]:
        """The value of an option by rule, of those that are submitted with it."""
        return {rule: job.value(option) for rule, job in self.jobs.items() if job.values(option)}


@pytest.fixture
def clean_project(tmp_path: Path) -> Path:
    """The project without its results."""
    return lay_out(tmp_path / "project")


@pytest.fixture
def dry_run(clean_project: Path):
    """Plan everything with the profile."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "-n", "all", *arguments]
        return subprocess.run(command, cwd=clean_project, capture_output=True, text=True)

    return run


@pytest.fixture(scope="session")
def render(tmp_path_factory: pytest.TempPathFactory):
    """Submit a job of each rule to a cluster that is not there."""
    commands = tmp_path_factory.mktemp("cluster")
    for name, script in CLUSTER.items():
        (commands / name).write_text(f"#!/bin/sh\n{script}\n")
        (commands / name).chmod(0o755)

    def run(site: str = "", config: str = "config/config.yaml") -> Rendered:
        folder = tmp_path_factory.mktemp("render")
        project, calls, dump = folder / "project", folder / "calls", folder / "settings.json"
        calls.mkdir()
        lay_out(project)
        if site:
            (project / "profiles/slurm/site.yaml").write_text(site)
        left_out = ("ZSL_PUBLISHED_DIR", "SLURM_JOB_ID")
        variables = {key: value for key, value in os.environ.items() if key not in left_out}
        variables["PATH"] = os.pathsep.join([str(commands), os.environ["PATH"]])
        variables["SBATCH_CALLS"] = str(calls)
        arguments = ["--profile", "slurm", "all", "--configfile", config]
        done = subprocess.run(
            [sys.executable, HERE / "render.py", dump, *arguments],
            cwd=project,
            env=variables,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        found = [Submission(tuple(f.read_text().split("\0")[:-1])) for f in calls.iterdir()]
        return Rendered({job.rule: job for job in found}, json.loads(dump.read_text()))

    return run


@pytest.fixture(scope="session")
def one_machine() -> Iterator[None]:
    """A SLURM of two nodes on this machine."""
    machine = HERE / "one_machine.sh"
    started = subprocess.run([machine, "start"], capture_output=True, text=True)
    if started.returncode == 77:
        pytest.skip(started.stderr.strip())
    assert started.returncode == 0, started.stderr
    yield
    subprocess.run([machine, "stop"], check=True)
