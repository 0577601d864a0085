"""A run made longer goes on from where it ended, wherever that was."""

import json
import re

import pytest

pytestmark = pytest.mark.slow

RUN = "main-small"
OLD = ["00000000-00000024"]
NEW = ["00000024-00000032", "00000032-00000040"]
AGAIN = ["00000000-00000032", "00000032-00000040"]


def ask(project, steps, extended_from=()):
    def change(config):
        main = config["suites"]["main"]
        main["runs"] = {"small": main["runs"]["small"]}
        main["runs"]["small"]["checkpoints"]["extended_from"] = list(extended_from)
        main["repeat"] = {}
        main["defaults"]["steps"] = steps
        config["tables"]["table2_steps"] = [4, 16]
        config["measurements"]["downstream"]["runs"] = []

    project.configure(change)


def segment(name):
    return f"results/tiny/training/{RUN}/{name}.manifest.json"


def planned(said):
    return re.findall(rf"Training {RUN}, steps (\S+)", said)


@pytest.fixture
def shorter(fresh):
    """A run that ended in the middle of what would be a segment of a longer one."""
    ask(fresh, 24)
    assert planned(fresh.snakemake(segment(OLD[0]))) == OLD
    return fresh


def test_only_what_is_new_is_trained_to_the_same_bytes(shorter, pristine, tmp_path):
    ask(shorter, 40, [24])
    assert planned(shorter.snakemake("-n", segment(NEW[-1]))) == NEW
    before = shorter.artifacts()
    shorter.snakemake(segment(NEW[-1]))
    after = shorter.artifacts()
    assert {path: after[path] for path in before} == before
    at_once = pristine.copy(tmp_path / "at_once")
    ask(at_once, 40, [24])
    assert planned(at_once.snakemake(segment(NEW[-1]))) == [*OLD, *NEW]
    assert at_once.artifacts() == after


def test_what_would_be_trained_again_is_said(shorter):
    said = f"{RUN} was trained to step 24 and begins again at step 0"
    assert said not in shorter.snakemake("-n", segment(OLD[0]))
    ask(shorter, 40)
    looked = shorter.snakemake("-n", segment(AGAIN[-1]))
    assert planned(looked) == AGAIN
    (line,) = (line for line in looked.splitlines() if said in line)
    assert line.endswith("set its checkpoints.extended_from: [24]")
    ask(shorter, 40, json.loads(line.rpartition(": ")[2]))
    looked = shorter.snakemake("-n", segment(NEW[-1]))
    assert (planned(looked), said in looked) == (NEW, False)
