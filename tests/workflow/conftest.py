"""Experiments that Snakemake made, copies of them to change, and its graph of jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from once import once
from planner import Planner
from projects import ROOT, Project, invented_text, lay_out

from zsl import registry
from zsl.config.load import load

HERE = Path(__file__).parent


def all_targets(root: Path) -> Project:
    """The project with models of a few thousand parameters, and every figure and table."""
    return lay_out(root, HERE / "tiny.yaml", {str(n): invented_text(n, 800) for n in (1, 2, 3)})


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with every target, of which nothing is made yet."""
    return all_targets(tmp_path_factory.mktemp("pristine") / "project")


@pytest.fixture(scope="session")
def planner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Planner]]:
    """The same, and Snakemake's graph of its jobs."""
    project = all_targets(tmp_path_factory.mktemp("planned") / "project")
    asked = Planner(project.root, project.environment())
    yield project, asked
    asked.close()


def make_whole(root: Path) -> None:
    """Everything of this experiment, with two cores."""
    all_targets(root).snakemake()


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The experiment with every target, made once in a test run; not to be changed."""
    folder = once(tmp_path_factory, "whole", lambda folder: make_whole(folder / "project"))
    return Project(folder / "project")


@pytest.fixture(scope="session", params=["stages", pytest.param("whole", marks=pytest.mark.slow)])
def finished(request: pytest.FixtureRequest) -> Project:
    """A finished experiment; not to be changed."""
    project: Project = request.getfixturevalue(request.param)
    return project


@pytest.fixture(scope="session")
def mini() -> Project:
    """The default experiment, where all of it is made."""
    project = Project(ROOT, "config/config.yaml", "mini")
    shown = registry.available(load([project.config]))
    if not all((project.results / f"{t.kind}s/{t.id}.csv").exists() for t in shown):
        pytest.skip("results/mini is not whole: make all first")
    return project


@pytest.fixture
def project(stages: Project, tmp_path: Path) -> Project:
    """A copy of the finished experiment with every stage, to change."""
    return stages.copy(tmp_path / "project")


@pytest.fixture
def fresh(pristine: Project, tmp_path: Path) -> Project:
    """A copy of the project in which nothing is made yet."""
    return pristine.copy(tmp_path / "project")
