"""Curves of others, through Snakemake: the examples, the authors' whole file, and mistakes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from zsl.config.load import load
from zsl.files import read_json

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def example(fresh):
    """A copy of the project with the examples, to run one of them in."""
    shutil.copytree(ROOT / "tests/curves", fresh.root / "tests/curves")

    def of(name):
        return replace(fresh, configfile=f"tests/curves/{name}.yaml", experiment=name)

    return of


@pytest.mark.parametrize(("name", "run"), [("own_csv", "my-run"), ("own_trainer", "tiny")])
def test_an_example_is_planned_and_fitted(example, name, run):
    project = example(name)
    assert project.zsl("plan").returncode == 0
    assert project.made(f"results/{name}/fits/main-{run}.json") == {
        f"curves/train_loss/main-{run}",
        f"fits/main-{run}",
    }
    fit = read_json(project.results / f"fits/main-{run}.json")
    facts = read_json(project.results / f"curves/train_loss/main-{run}.json")
    assert fit["imported"] and fit["note"] == facts["note"]
    assert "raw losses logged every" in fit["note"]
    assert fit["T"] == {"own_csv": 20_000, "own_trainer": 2048}[name]


def test_a_bad_row_is_said_before_anything_runs(example):
    project = example("own_csv")
    path = project.root / "tests/curves/own.csv"
    path.write_text(path.read_text() + '"20050.5","3.2","3.2","3.2"\n')
    said = "tests/curves/own.csv, line 413: step '20050.5' is no whole number"
    planned, run = project.zsl("plan"), project.try_snakemake("-n")
    assert planned.returncode == 1 and said in planned.stderr
    assert run.returncode != 0 and said in run.stdout and "Traceback" not in run.stdout
    path.unlink()
    assert "imported.runs.my-run.path" in project.zsl("plan").stderr
    assert "imported.runs.my-run.path" in project.try_snakemake("-n").stdout


@pytest.fixture(scope="module")
def whole(pristine, tmp_path_factory):
    """Everything made from a file as the authors' whole one: eight models, on their grid, the last
    step of OLMo-7B twice."""
    folder = tmp_path_factory.mktemp("whole")
    models = yaml.safe_load((ROOT / "config/published.yaml").read_text())
    grid = [s for s in range(10, 30_001) if s % min(1000, 10 ** (len(str(s)) - 2)) == 0]
    curves = {}
    for number, name in enumerate(models["suites"]["main"]["imported"]["runs"]):
        x, t_d, r_d = np.log(grid), 6000 - 300 * number, 0.02 + 0.004 * number
        L_d, c_0, f_1 = 4 - 0.15 * number, 0.2, 0.3
        softplus = f_1 * np.logaddexp(0, (x - np.log(t_d)) / f_1)
        L = L_d * np.exp(-c_0 * (x - np.log(t_d)) - (r_d - c_0) * softplus)
        noise = np.random.default_rng(number).normal(0, 0.002, len(grid))
        curves[name] = {"smoothed_loss": {"x": [*grid], "y": (L * np.exp(noise)).tolist()}}
    for axis in curves["OLMo-7B"]["smoothed_loss"].values():
        axis.append(axis[-1])
    (folder / "bnsl_fit.json").write_text(json.dumps(curves))
    project = pristine.copy(folder / "project")
    project = replace(
        project,
        configfile="config/published.yaml",
        experiment="published",
        variables={"ZSL_PUBLISHED_DIR": str(folder)},
    )
    project.snakemake()
    return project


def test_published_is_made_from_a_file_with_a_step_twice(whole):
    said = "of OLMo-7B, 1 row repeating a step with the same loss counted once"
    assert said in (whole.results / "tables/table1.md").read_text()
    assert said in (whole.results / "logs/curves/train_loss/main-OLMo-7B.log").read_text()
    assert said in read_json(whole.results / "fits/main-OLMo-7B.json")["note"]
    assert "counted once" not in read_json(whole.results / "fits/main-OLMo-1B.json")["note"]
    steps = {
        name: (whole.results / f"curves/train_loss/main-{name}.csv").read_text().count("\n")
        for name in load([ROOT / "config/published.yaml"]).experiment.suites["main"].imported.runs
    }
    assert set(steps.values()) == {steps["14M"]}, "the repeated step has one row"


def test_captions_say_who_smoothed(whole):
    for figure in ("fig02", "fig22", "sensitivity"):
        said = (whole.results / f"figures/{figure}.md").read_text()
        assert "OLMo-1B, OLMo-7B (smoothed elsewhere)" in said
