"""A small experiment that Snakemake made, copies of it to tamper with, and audits of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from projects import Project

from zsl.audit.findings import Audit
from zsl.audit.planned import Asking, Planned
from zsl.audit.roots import Held, differences
from zsl.audit.run import Question, audit
from zsl.cli import main
from zsl.files import sha256
from zsl.lineage.root import record_digests, root_of
from zsl.lineage.store import read_records

RESULTS = Path("results/tiny")


@dataclass(frozen=True)
class Audited(Project):
    """A project whose audits ask Snakemake."""

    def audit(self, *targets: str, **more: Any) -> Audit:
        """An audit with the library of the copy."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(self.root / "src"))
            return audit(Question(self.root, (self.config,), targets=targets, **more))


@dataclass
class Tree:
    """A copy of the results, audited against what the unchanged project would make."""

    results: Path
    project: Audited
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
        alone = self.audit()
        now = record_digests(self / "lineage")
        root = Held(self.held.root, "a root")
        hexadecimal, listed = (
            replace(alone, held=held.name, root_differences=differences(held, now))
            for held in (root, self.held)
        )
        said = {
            (f.path, f.status): " ".join([*f.details, *map(str, f.changes)])
            for f in alone.findings
            if not f.fine
        }
        assert set(said) == set(found), said
        for key, words in found.items():
            assert words in said[key], (key, said[key])
        broken = [check.name for check in alone.checks if check.holds is False]
        assert len(broken) == len(checks), broken
        assert all(any(name.startswith(each) for name in broken) for each in checks), broken
        assert alone.root == root_of(now)
        assert alone.passed() == (not found and not checks)
        assert hexadecimal.passed() == listed.passed() == (not found and not checks and not records)
        named = {line.split()[0] for line in listed.root_differences[1:]}
        assert named == set(records)
        assert bool(hexadecimal.root_differences) == bool(records)
        return alone


@pytest.fixture(scope="session")
def made(few: Project) -> Audited:
    """The small experiment, made by Snakemake; not to be changed."""
    return Audited(few.root)


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the cache of digests out of the user's own, and the authors' curves away."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ZSL_PUBLISHED_DIR", raising=False)


@pytest.fixture(scope="session")
def planned(made: Audited) -> Planned:
    """What the unchanged project would make, asked once."""
    records = read_records(made.results)
    others = [f"{RESULTS}/{next(iter(r.outputs))}" for r in records.current.values()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(made.root / "src"))
        return Asking(made.root, [made.config], ["all"], others).answer()


@pytest.fixture
def tree(made: Audited, planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
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
def changed(made: Audited, tmp_path: Path) -> Audited:
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
