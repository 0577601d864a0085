"""``zsl plan`` counts the jobs that Snakemake would run, of which the paper has not too many."""

from __future__ import annotations

from collections import Counter

import pytest

from zsl.config.load import read_yaml, resolve
from zsl.planning.estimate import estimate

MOST = 2000
"""Jobs that Snakemake plans in seconds."""


@pytest.mark.parametrize("name", ["tiny", "config", "paper", "published", "authors"])
def test_jobs_by_rule_are_those_that_snakemake_plans(planner, name):
    project, asked = planner
    config = f"config/{name}.yaml"
    counted = Counter(job.rule for job in asked.jobs(config))
    found = estimate(
        resolve(read_yaml(project.root / config), environ={}), gpu="H100", utilisation=0.4
    )
    dropped = found.rules.pop("drop", 0)  # who only asks for the graph has no order in it
    assert found.rules == counted
    assert found.total.jobs - dropped == counted.total() <= MOST


def test_main_trains_the_runs_of_that_suite_alone(planner):
    project, asked = planner
    jobs = asked.jobs(project.configfile, "main")
    trained = {job.name.split("/")[1] for job in jobs if job.rule == "train"}
    plan = resolve(project.configuration(), environ={})
    assert trained == {id for id in plan.runs if id.startswith("main-")}
    assert trained < set(plan.runs)
