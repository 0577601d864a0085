"""A copy of the project with a tiny experiment, and Snakemake run on it as a user would."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from zsl import registry
from zsl.config.load import load

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOLDERS = ("workflow", "config", "profiles", "src")
FILES = ("Snakefile", "requirements.lock", "pyproject.toml")
WORDS = [a + b + c for a in "bdgklmnprst" for b in "aeiou" for c in "lnrs"]
CONFIG = "config/tiny.yaml"
TIMED = ("lineage", "provenance", "logs", "state")
"""Folders of results whose bytes depend on when they were made."""
SLICE = ("fig07", "fig09", "table1")
"""Targets that are also made with one core."""
TEXTS = (1, 2, 3)
"""Names of the texts, and their seeds."""


@dataclass(frozen=True)
class Project:
    """A copy of the project in a folder of its own."""

    root: Path
    config: str = CONFIG
    experiment: str = "tiny"
    variables: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables."""

    @property
    def results(self) -> Path:
        return self.root / "results" / self.experiment

    def command(self, *arguments: str) -> list[str]:
        cores = [] if "--cores" in arguments else ["--cores", "2"]
        options = ["--configfile", self.config, *cores, "--nocolor"]
        return [sys.executable, "-m", "snakemake", *arguments, *options]

    def environment(self) -> dict[str, str]:
        """That of the tests, with the library of the copy and no published curves."""
        kept = {key: value for key, value in os.environ.items() if key != "ZSL_PUBLISHED_DIR"}
        return {**kept, "PYTHONPATH": str(self.root / "src"), **self.variables}

    def try_snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake; ``stdout`` holds both streams."""
        return self.run(self.command(*arguments))

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; ``stdout`` holds both streams."""
        return subprocess.run(
            command,
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1800,
        )

    def snakemake(self, *arguments: str) -> str:
        """Run Snakemake, which must succeed, and return what it says."""
        done = self.try_snakemake(*arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Snakemake in a process group of its own, its words in ``snakemake.log``."""
        with (self.root / "snakemake.log").open("w") as log:
            return subprocess.Popen(
                self.command(*arguments),
                cwd=self.root,
                env=self.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    def planned(self, *targets: str) -> set[str]:
        """Jobs that would run, each by the path that its lineage record has in common with its
        artifact, such as ``fits/main-small``."""
        lines = self.snakemake("--summary", *targets).splitlines()
        rows = [line.split("\t") for line in lines if line.startswith("results/")]
        assert rows, lines
        pending = [Path(row[0]) for row in rows if row[-1] == "update pending"]
        return {name for path in pending if (name := self._job(self.root / path))}

    def records(self) -> dict[str, int]:
        """Time in nanoseconds at which each job wrote its lineage record."""
        return {str(self._job(path)): path.stat().st_mtime_ns for path in self.record_files()}

    def record_files(self) -> list[Path]:
        """The current records: not those that are kept beside them for ever."""
        folder = self.results / "lineage"
        kept = ("history", "code", "accepted")
        found = sorted(folder.rglob("*.json"))
        return [path for path in found if path.relative_to(folder).parts[0] not in kept]

    def _job(self, path: Path) -> str | None:
        base = self.results / "lineage"
        inside = path.is_relative_to(base)
        return path.relative_to(base).with_suffix("").as_posix() if inside else None

    def made(self, *targets: str) -> set[str]:
        """Run Snakemake; return the jobs that ran, named as by ``planned``."""
        before = self.records()
        self.snakemake(*targets)
        return {job for job, when in self.records().items() if before.get(job) != when}

    def artifacts(self) -> dict[str, bytes]:
        """Bytes by path of everything made, but lineage, its root and logs, which hold times, and
        hidden files, which nothing reads."""
        return {
            path.relative_to(self.results).as_posix(): path.read_bytes()
            for path in sorted(self.results.rglob("*"))
            if path.is_file()
            and path.relative_to(self.results).parts[0] not in TIMED
            and not path.name.startswith(".")
        }

    def configuration(self) -> dict[str, Any]:
        """The configuration, in which no two places share what an anchor repeats."""
        values: dict[str, Any] = yaml.safe_load((self.root / self.config).read_text())
        return json.loads(json.dumps(values))  # type: ignore[no-any-return]

    def configure(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the configuration."""
        path = self.root / self.config
        values = self.configuration()
        change(values)
        path.write_text(yaml.safe_dump(values, sort_keys=False))

    def replace(self, path: str, old: str, new: str) -> None:
        """Change a text file, in which ``old`` occurs once."""
        text = (self.root / path).read_text()
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {path}"
        (self.root / path).write_text(text.replace(old, new))

    def zsl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ``zsl`` on the experiment."""
        program = "import sys; from zsl.cli import main; sys.exit(main())"
        return subprocess.run(
            [sys.executable, "-c", program, *arguments, "--configfile", self.config],
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
        )

    def copy(self, to: Path) -> Project:
        """A copy of everything, times included."""
        subprocess.run(["cp", "-a", str(self.root), str(to)], check=True)
        return Project(to, self.config, self.experiment, self.variables)


def invented_text(seed: int, passages: int) -> str:
    """Passages of invented words, some of which are more frequent than others."""
    draw = random.Random(seed)
    weights = [1 / (rank + 1) for rank in range(len(WORDS))]
    return "\n\n".join(
        " ".join(draw.choices(WORDS, weights, k=draw.randint(20, 40))) for _ in range(passages)
    )


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with the tiny experiment, of which nothing is made yet."""
    root = tmp_path_factory.mktemp("pristine") / "project"
    root.mkdir()
    for name in FOLDERS:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy2(ROOT / name, root / name)
    shutil.copy2(HERE / "tiny.yaml", root / CONFIG)
    (root / "text").mkdir()
    for seed in TEXTS:
        (root / "text" / f"{seed}.txt").write_text(invented_text(seed, 800))
    return Project(root)


@pytest.fixture(scope="session")
def one_core(
    pristine: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Project, subprocess.Popen[str]]]:
    """What computes with several threads or processes, with ``--cores 1``, running beside the
    other tests: tokens, training, the costliest measurements, fits."""
    project = pristine.copy(tmp_path_factory.mktemp("one_core") / "project")
    process = project.start("--cores", "1", *SLICE)
    yield project, process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def finished(
    pristine: Project, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """The whole experiment, made once with two cores; not to be changed."""
    if any("one_core" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("one_core")
    project = pristine.copy(tmp_path_factory.mktemp("finished") / "project")
    project.snakemake()
    return project


@pytest.fixture(scope="session")
def mini() -> Project:
    """The default experiment, where all of it is made."""
    project = Project(ROOT, "config/config.yaml", "mini")
    shown = registry.available(load([ROOT / project.config]))
    if not all((project.results / f"{t.kind}s/{t.id}.csv").exists() for t in shown):
        pytest.skip("results/mini is not whole: make all first")
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished experiment to change."""
    return finished.copy(tmp_path / "project")


@pytest.fixture
def fresh(pristine: Project, tmp_path: Path) -> Project:
    """A copy of the project in which nothing is made yet."""
    return pristine.copy(tmp_path / "project")
