"""A configuration is claimed only where it gives the settings that were recorded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from zsl.audit.planned import Planned, PlannedJob
from zsl.crate.run import Run, read_run
from zsl.crate.settings import compared, contradiction
from zsl.lineage.store import NO_SETTINGS

RESULTS = "results/tiny"
CONFIG = "config/config.yaml"
NOT_CONFIGURED = [name for name in NO_SETTINGS if name != "threads"]
AGAINST = "1 of 6 jobs did not run with it: setting <run.steps>: 4 -> 5."


@pytest.fixture
def run(project) -> Run:
    return read_run(RESULTS, project, configfiles=[project / CONFIG])


def planned(run: Run) -> Planned:
    """A plan of just its jobs."""
    found = {}
    for job in run.jobs:
        params = json.loads(json.dumps(job.section("params")))
        found[run.record(job)] = PlannedJob(job.rule, run.record(job), params, (), ())
    return Planned(found, frozenset(found), {})


def of(plan: Planned, stage: str) -> PlannedJob:
    (job,) = (job for path, job in plan.jobs.items() if f"/lineage/{stage}/" in path)
    return job


def test_equal_settings_speak_for_it(run):
    assert compared(run, planned(run)) is None


def test_another_setting_speaks_against_it(run):
    plan = planned(run)
    of(plan, "training").params["run"]["steps"] = 5
    of(plan, "fits").params["threads"] = 2
    assert compared(run, plan) == (
        "2 of 6 jobs did not run with the configuration as it is now: "
        "setting threads: 1 -> 2; setting run.steps: 4 -> 5."
    )


def test_a_job_that_it_does_not_have_speaks_against_it(run):
    plan = planned(run)
    del plan.jobs[of(plan, "figures").record]
    assert "it has no job figures/fig01." in compared(run, plan)


def test_what_it_does_not_set_says_nothing(run):
    plan = planned(run)
    for name in NOT_CONFIGURED:
        of(plan, "training").params[name] = "other"
    assert compared(run, plan) is None


def test_many_differences_are_not_all_said(run):
    plan = planned(run)
    of(plan, "training").params["run"] |= {str(number): number for number in range(9)}
    assert compared(run, plan).endswith("; and 6 more.")


def test_where_nothing_can_be_planned_it_is_not_known(run, project):
    (project / "Snakefile").write_text("this is no workflow")
    assert "could not be compared" in contradiction(run)


def connections(made) -> set[str]:
    """Parameters of rules that are said to come from the configuration."""
    start = "#connection/workflow/input/configfile--rule/"
    return {id.removeprefix(start) for id in made.entities if id.startswith(start)}


def test_what_the_jobs_did_not_run_with_is_not_claimed(written, project, broken_rules):
    made = written(project, contradiction=AGAINST)
    assert CONFIG not in json.dumps(made.entities["#run"]["object"]).replace(f"#{CONFIG}@", "")
    assert connections(made) == set()
    assert "exampleOfWork" not in made.entities[CONFIG]
    assert "not known to have run with it" in made.entities[CONFIG]["description"]
    for id in ("./", "#run"):
        assert AGAINST in made.entities[id]["description"]
    page = made.read("ro-crate-preview.html").decode()
    assert "did not run with it: setting &lt;run.steps&gt;" in page
    assert made.read(CONFIG) == Path(project / CONFIG).read_bytes()
    assert broken_rules(made.path) == set()


def test_configuration_files_of_one_name_are_all_in_it(written, project, tmp_path):
    given = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        given.append(tmp_path / folder / "config.yaml")
        given[-1].write_text(folder)
    made = written(project, configfiles=[given[0], Path(CONFIG), given[1]])
    packed = {"config/1/config.yaml": b"one", "config/3/config.yaml": b"two"}
    for name, text in packed.items():
        assert made.read(name) == text
        assert made.entities[name]["sha256"] == hashlib.sha256(text).hexdigest()
    assert made.read(CONFIG) == (project / CONFIG).read_bytes()
    read = {item["@id"] for item in made.entities["#run"]["object"]}
    assert {CONFIG, *packed} <= read
    page = made.read("ro-crate-preview.html").decode()
    assert all(f'href="{name}"' in page for name in (CONFIG, *packed))


def test_a_configuration_file_given_twice_is_one(written, project):
    made = written(project, configfiles=[Path(CONFIG), Path(f"./{CONFIG}")])
    assert [name for name in made.names if name.startswith("config/")] == [CONFIG]


def test_only_settings_come_from_the_configuration(written, project, record):
    params = {"threads": 1, "settings": {"cut": 2}, **dict.fromkeys(NOT_CONFIGURED, "x")}
    record(project, "fit", "fits/main-1k", [], 30, params={**params, "packages": {}})
    found = connections(written(project))
    assert {name for name in found if name.startswith("fit/")} == {
        "fit/param/threads",
        "fit/param/settings",
    }
