"""docs/faults.md names every row that is tested here, and numbers of the run it tells of."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TEXT = (HERE.parents[1] / "docs/faults.md").read_text()
KILLS = HERE / "kills.json"
"""What ``make test-kill`` printed at its end, when it was run for the document."""


def test_every_fault_is_a_row_and_every_row_a_test():
    rows = set(re.findall(r"\| `(test_\w+)` \|$", TEXT, re.MULTILINE))
    others = [path.read_text() for path in HERE.glob("test_*.py") if path != Path(__file__)]
    tests = {name for text in others for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}
    assert rows == tests


@pytest.mark.skipif(not KILLS.exists(), reason="make test-kill was not run for the document yet")
def test_the_kills_told_of_are_those_of_the_run():
    told = re.search(r"(\d+) kills \(seed (\d+)\): (\d+) times whole, in (\d+) minutes", TEXT)
    assert told
    kills = json.loads(KILLS.read_text())
    run = kills["kills"], kills["seed"], kills["rounds"], round(kills["minutes"])
    assert tuple(map(int, told.groups())) == run
    jobs = dict(re.findall(r"([a-z_]+) (\d+)[,.]", TEXT.partition("Jobs hit: ")[2]))
    assert {name: int(n) for name, n in jobs.items()} == kills["jobs"]
