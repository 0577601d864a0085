"""docs/faults.md names every row that is tested here, and numbers of the run it tells of."""

from __future__ import annotations

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
TEXT = (HERE.parents[1] / "docs/faults.md").read_text()
KILLS = HERE / "kills.json"
"""What ``make test-kill`` printed at its end, each time it was run for the document."""


def test_every_fault_is_a_row_and_every_row_a_test():
    rows = set(re.findall(r"\| `(test_\w+)` \|$", TEXT, re.MULTILINE))
    others = [path.read_text() for path in HERE.glob("test_*.py") if path != Path(__file__)]
    tests = {name for text in others for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}
    assert rows == tests


def test_the_kills_told_of_are_those_of_the_runs():
    head = r"(\d+) kills \(seed (\d+)\): (\d+) times whole, in (\d+) minutes"
    runs = json.loads(KILLS.read_text())
    told = re.findall(head, TEXT)
    assert [tuple(map(int, numbers)) for numbers in told] == [
        (run["kills"], run["seed"], run["rounds"], round(run["minutes"])) for run in runs
    ]
    for jobs, run in zip(TEXT.split("Jobs hit:")[1:], runs, strict=True):
        hit = dict(re.findall(r"([a-z_]+)\s(\d+)[,.]", jobs.partition("\n\n")[0]))
        assert {name: int(n) for name, n in hit.items()} == run["jobs"]
