"""A small experiment that Snakemake made, copies of it to tamper with, and audits of them."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from zsl.audit.findings import Audit
from zsl.audit.planned import Asking, Planned
from zsl.audit.roots import Held
from zsl.audit.run import Question, audit
from zsl.cli import main
from zsl.files import sha256
from zsl.lineage.root import record_digests, root_of
from zsl.lineage.store import read_records

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOLDERS = ("workflow", "config", "profiles", "src")
FILES = ("Snakefile", "requirements.lock", "pyproject.toml")
CONFIG = Path("config/tiny.yaml")
RESULTS = Path("results/tiny")
SHOWN = ("fig02", "fig03", "table1")
"""The targets of the copy; the real project has more, which would take minutes."""
AVAILABLE = "TARGETS = {target.id: target for target in registry.available(PLAN)}"


@dataclass(frozen=True)
class Project:
    """A copy of the project with a folder of results."""

    root: Path

    @property
    def results(self) -> Path:
        return self.root / RESULTS

    @property
    def config(self) -> Path:
        return self.root / CONFIG

    def snakemake(self, *arguments: str) -> str:
        """Run Snakemake, which must succeed."""
        options = ["--cores", "2", "--configfile", str(CONFIG), "--nocolor"]
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments, *options],
            cwd=self.root,
            env={**_outside(), "PYTHONPATH": str(self.root / "src")},
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def copy(self, to: Path) -> Project:
        """A copy of everything, times included."""
        subprocess.run(["cp", "-a", str(self.root), str(to)], check=True)
        return Project(to)

    def replace(self, path: str, old: str, new: str) -> None:
        """Change a text file, in which ``old`` occurs once."""
        text = (self.root / path).read_text()
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {path}"
        (self.root / path).write_text(text.replace(old, new))

    def audit(self, *targets: str, **more: Any) -> Audit:
        """An audit that asks Snakemake, with the library of the copy."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(self.root / "src"))
            return audit(Question(self.root, (self.config,), targets=targets, **more))


def _outside() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "ZSL_PUBLISHED_DIR"}


@dataclass
class Tree:
    """A copy of the results, audited against what the unchanged project would make."""

    results: Path
    project: Project
    held: Held
    """The root of before, with the digests behind it."""
    planned: Planned
    """What Snakemake is taken to answer."""

    def __truediv__(self, path: str) -> Path:
        return self.results / path

    def flip(self, path: str) -> None:
        """Change one byte in the middle of a file, and nothing else."""
        data = bytearray((self / path).read_bytes())
        data[len(data) // 2] ^= 1
        (self / path).write_bytes(data)

    def replace(self, path: str, old: str, new: str) -> None:
        """Change a text file where ``old`` occurs first."""
        text = (self / path).read_text()
        assert old in text
        (self / path).write_text(text.replace(old, new, 1))

    def record(self, path: str) -> dict[str, Any]:
        """What a record says."""
        content: dict[str, Any] = json.loads((self / path).read_text())
        return content

    def rewrite(self, path: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Edit a record as JSON, laid out as records are."""
        content = self.record(path)
        change(content)
        (self / path).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")

    def cover_up(self, artifact: str, record: str) -> None:
        """Give a record the digest that an artifact has now."""

        def change(content: dict[str, Any]) -> None:
            for entry in content["outputs"]:
                if entry["path"].endswith(f"/{artifact}"):
                    entry["sha256"] = sha256(self / artifact)
                    entry["size"] = (self / artifact).stat().st_size

        self.rewrite(record, change)

    def kept(self, record: str) -> str:
        """Path of the copy of a record in the history."""
        return f"lineage/history/{sha256(self / record)}.json"

    def forge(self, record: str) -> str:
        """Copy a record to the history under the name that a job would have given it."""
        path = self.kept(record)
        shutil.copyfile(self / record, self / path)
        return path

    def audit(self, **more: Any) -> Audit:
        """An audit, without a root unless ``held`` is given."""
        return audit(Question(self.project.root, (self.project.config,), self.results, **more))

    def sees(
        self,
        found: Mapping[tuple[str, str], str],
        *,
        checks: Collection[str] = (),
        records: Collection[str] = (),
    ) -> Audit:
        """Hold an audit against all that it should say, and nothing else.

        ``found`` has words by path and status, ``checks`` begin the names of those that do not
        hold, ``records`` are the files of ``lineage`` that the root held elsewhere shows to be
        other ones, new or gone. Without that root, only the first two are seen.
        """
        alone, hexadecimal = self.audit(), self.audit(held=Held(self.held.root, "a root"))
        listed = self.audit(held=self.held)
        for seen in (alone, hexadecimal, listed):
            said = {
                (f.path, f.status): " ".join([*f.details, *map(str, f.changes)])
                for f in seen.findings
                if not f.fine
            }
            assert set(said) == set(found), said
            for key, words in found.items():
                assert words in said[key], (key, said[key])
            broken = [check.name for check in seen.checks if check.holds is False]
            assert len(broken) == len(checks), broken
            assert all(any(name.startswith(each) for name in broken) for each in checks), broken
        assert alone.passed() == (not found and not checks)
        assert hexadecimal.passed() == listed.passed() == (not found and not checks and not records)
        named = {line.split()[0] for line in listed.root_differences[1:]}
        assert named == set(records)
        assert bool(hexadecimal.root_differences) == bool(records)
        return alone


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with its small experiment, made by Snakemake; not to be changed."""
    root = tmp_path_factory.mktemp("made") / "project"
    root.mkdir()
    for name in FOLDERS:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy2(ROOT / name, root / name)
    shutil.copy2(HERE / CONFIG.name, root / CONFIG)
    (root / "text").mkdir()
    for seed in (1, 2):
        (root / f"text/{seed}.txt").write_text(_invented(seed))
    project = Project(root)
    fewer = f"TARGETS = {{t.id: t for t in registry.available(PLAN) if t.id in {SHOWN}}}"
    project.replace("workflow/rules/common.smk", AVAILABLE, fewer)
    project.snakemake()
    return project


def _invented(seed: int) -> str:
    """Passages of words of three letters."""
    draw = random.Random(seed)
    words = [a + b + c for a in "bdgklmnprst" for b in "aeiou" for c in "lnrs"]
    return "\n\n".join(" ".join(draw.choices(words, k=30)) for _ in range(100))


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the cache of digests out of the user's own, and the authors' curves away."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ZSL_PUBLISHED_DIR", raising=False)


@pytest.fixture(scope="session")
def planned(made: Project) -> Planned:
    """What the unchanged project would make, asked once."""
    records = read_records(made.results)
    others = [f"{RESULTS}/{next(iter(r.outputs))}" for r in records.current.values()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(made.root / "src"))
        return Asking(made.root, [made.config], ["all"], others).answer()


@pytest.fixture
def tree(made: Project, planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """A copy of the results in a folder of its own; audits of it do not ask Snakemake again."""
    copy = tmp_path / "elsewhere" / "tiny"
    shutil.copytree(made.results, copy, symlinks=True)
    digests = record_digests(copy / "lineage")
    held = Held(root_of(digests), "the digests of before", digests)
    found = Tree(copy, made, held, planned)

    class Asked:
        def __init__(self, *_: object) -> None: ...

        def answer(self) -> Planned:
            return found.planned

    monkeypatch.setattr("zsl.audit.run.Asking", Asked)
    return found


@pytest.fixture
def changed(made: Project, tmp_path: Path) -> Project:
    """A copy of the project and its results, to change; audits of it ask Snakemake."""
    return made.copy(tmp_path / "project")


@pytest.fixture
def close() -> Iterator[Callable[..., None]]:
    """Close files and folders by their modes; they are opened again in the end."""
    before: dict[Path, int] = {}

    def change(*paths: Path) -> None:
        for path in paths:
            before[path] = path.stat().st_mode
            path.chmod(0)

    yield change
    for path, mode in reversed(before.items()):
        path.chmod(mode)


@pytest.fixture
def typed(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[Any, str, str]]:
    """Type a command; its exit code and what it printed."""
    monkeypatch.chdir(tree.project.root)

    def run(command: str, *arguments: object) -> tuple[Any, str, str]:
        named = ["--configfile", str(tree.project.config)] if tree.project.config.is_file() else []
        place = [*named, "--results", str(tree.results)]
        try:
            code: Any = main([command, *map(str, arguments), *place])
        except SystemExit as left:
            code = left.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
