"""``zsl plan`` counts the jobs that Snakemake would run."""

import re
from dataclasses import replace

import pytest

from zsl.config.load import read_yaml, resolve
from zsl.planning.estimate import estimate


@pytest.mark.parametrize("name", ["tiny", "config", "paper", "published"])
def test_jobs_by_rule_are_those_of_a_dry_run(pristine, name):
    config = f"config/{name}.yaml"
    said = replace(pristine, config=config).snakemake("-n", "--quiet", "rules")
    counted = {rule: int(n) for rule, n in re.findall(r"(?m)^(\w+) +(\d+)$", said)}
    total = counted.pop("total")
    plan = resolve(read_yaml(pristine.root / config), environ={})
    found = estimate(plan, gpu="H100", utilisation=0.4)
    assert found.rules == counted
    assert found.total.jobs == total


def test_main_trains_the_runs_of_that_suite_alone(pristine):
    said = pristine.snakemake("-n", "main")
    trained = set(re.findall(r"Training ([\w.-]+), steps", said))
    plan = resolve(pristine.configuration(), environ={})
    assert trained == {id for id in plan.runs if id.startswith("main-")}
    assert trained < set(plan.runs)
