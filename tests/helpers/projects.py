"""Copies of the project with small experiments, and Snakemake run on them as a user would."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOLDERS = ("workflow", "config", "profiles", "src")
FILES = ("Snakefile", "requirements.lock", "pyproject.toml")
TINY = HERE / "tiny.yaml"
"""The experiment in which every stage has a job."""
FEW = ("fig02", "fig03", "table1")
"""Targets of it that are made in half a minute."""
STAGES = (
    *FEW, "fig04", "fig07", "fig08", "fig10", "fig16", "fig17", "sensitivity", "breakdown",
)  # fmt: skip
"""Targets of it, so many that each stage is behind one of them."""
AVAILABLE = "TARGETS = {target.id: target for target in registry.available(PLAN)}"
WORDS = [a + b + c for a in "bdgklmnprst" for b in "aeiou" for c in "lnrs"]
TIMED = ("lineage", "provenance", "logs", "state")
"""Folders of results whose bytes depend on when they were made."""


@dataclass(frozen=True)
class Project:
    """A copy of the project in a folder of its own."""

    root: Path
    configfile: str = "config/tiny.yaml"
    experiment: str = "tiny"
    variables: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables."""

    @property
    def results(self) -> Path:
        return self.root / "results" / self.experiment

    @property
    def config(self) -> Path:
        return self.root / self.configfile

    def command(self, *arguments: str) -> list[str]:
        """Snakemake's command line."""
        cores = [] if "--cores" in arguments else ["--cores", "2"]
        options = ["--configfile", self.configfile, *cores, "--nocolor"]
        return [sys.executable, "-m", "snakemake", *arguments, *options]

    def environment(self) -> dict[str, str]:
        """That of the tests, with the library of the copy and no published curves."""
        kept = {key: value for key, value in os.environ.items() if key != "ZSL_PUBLISHED_DIR"}
        return {**kept, "PYTHONPATH": str(self.root / "src"), **self.variables}

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; ``stdout`` holds both streams."""
        return subprocess.run(
            command,
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def try_snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake; ``stdout`` holds both streams."""
        return self.run(self.command(*arguments))

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
        values: dict[str, Any] = yaml.safe_load(self.config.read_text())
        return json.loads(json.dumps(values))  # type: ignore[no-any-return]

    def configure(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the configuration."""
        values = self.configuration()
        change(values)
        self.config.write_text(yaml.safe_dump(values, sort_keys=False))

    def replace(self, path: str, old: str, new: str) -> None:
        """Change a text file, in which ``old`` occurs once."""
        text = (self.root / path).read_text()
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {path}"
        (self.root / path).write_text(text.replace(old, new))

    def zsl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ``zsl`` on the experiment."""
        program = "import sys; from zsl.cli import main; sys.exit(main())"
        return subprocess.run(
            [sys.executable, "-c", program, *arguments, "--configfile", self.configfile],
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
        )

    def copy(self, to: Path) -> Self:
        """A copy of everything, times included."""
        subprocess.run(["cp", "-a", str(self.root), str(to)], check=True)
        return replace(self, root=to)

    def show(self, targets: Collection[str]) -> None:
        """Let these be all targets that the experiment has."""
        rules = self.root / "workflow/rules/common.smk"
        lines = (ROOT / "workflow/rules/common.smk").read_text()
        assert lines.count(AVAILABLE) == 1
        chosen = AVAILABLE.replace("(PLAN)", f"(PLAN) if target.id in {[*targets]}")
        rules.write_text(lines.replace(AVAILABLE, chosen))


def lay_out(
    root: Path, config: Path = TINY, texts: Mapping[str, str] | None = None, **more: Any
) -> Project:
    """The project at ``root``, of which nothing is made yet, with texts by name."""
    root.mkdir(parents=True)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy2(ROOT / name, root / name)
    project = Project(root, **more)
    shutil.copy2(config, project.config)
    (root / "text").mkdir()
    for name, text in (texts or {"1": _plain_text(1), "2": _plain_text(2)}).items():
        (root / "text" / f"{name}.txt").write_text(text)
    return project


def make_few(root: Path) -> None:
    """The tiny experiment at ``root``, with few targets."""
    project = lay_out(root)
    project.show(FEW)
    project.snakemake()


def make_stages(few: Project, root: Path) -> None:
    """The same, and the other stages."""
    project = few.copy(root)
    project.show(STAGES)
    project.snakemake()


def invented_text(seed: int, passages: int) -> str:
    """Passages of invented words, some of which are more frequent than others."""
    draw = random.Random(seed)
    weights = [1 / (rank + 1) for rank in range(len(WORDS))]
    return "\n\n".join(
        " ".join(draw.choices(WORDS, weights, k=draw.randint(20, 40))) for _ in range(passages)
    )


def _plain_text(seed: int) -> str:
    """A hundred passages of invented words."""
    draw = random.Random(seed)
    return "\n\n".join(" ".join(draw.choices(WORDS, k=30)) for _ in range(100))


def differences(made: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """Artifacts that are in one only, or whose bytes differ."""
    return sorted(path for path in made | expected if made.get(path) != expected.get(path))
