"""What is typed after ``zsl audit``, what it prints for programs, and who reads that."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from zsl.cli import CLOSED_PIPE, main

MAIN = "import sys; from zsl.cli import main; sys.exit(main())"


@pytest.mark.parametrize(
    "command",
    [
        ["audit"],
        ["root"],
        ["accept", "fig02", "--reason", "none"],
        ["reproduce", "fig02"],
        ["lineage", "fig02"],
        ["explain", "fig02", "fig02"],
    ],
)
def test_a_configuration_that_is_not_there(tree, command, capsys, monkeypatch):
    """Without it less would be checked; that is so where none is named, which is said."""
    monkeypatch.chdir(tree.results)
    results = ["--results", str(tree.results)]
    with pytest.raises(SystemExit) as left:
        main([*command, "--configfile", str(tree.project.config), "none.yaml", *results])
    assert left.value.code == 2
    assert "there is no file 'none.yaml'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        main(["audit", *results])
    assert left.value.code == 0
    assert "whether code or settings have changed since was not checked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "close"),
    [("main-smal", "main-small"), ("fig2", "fig02"), ("figure 3", "fig03"), ("Fig. 02", "fig02")],
)
@pytest.mark.parametrize("command", ["lineage", "reproduce"])
def test_a_name_that_is_nearly_one(typed, command, name, close):
    code, _, said = typed(command, name)
    assert code == 1
    assert f"target {name}: no record is of it; did you mean {close}? name a figure" in said


def test_a_figure_that_is_not_made_yet(typed):
    """No other one is meant by it."""
    _, _, said = typed("lineage", "fig05")
    assert "no record is of it; name a figure" in said


@pytest.mark.parametrize("command", [["audit", "--json"], ["audit"], ["root"]])
def test_a_pipe_that_is_closed(tree, command):
    """Nobody has read whether it passed."""
    (tree / "fits/main-small.json").write_text("altered")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *command, "--results", str(tree.results)],
        stdout=write,
        stderr=subprocess.PIPE,
        cwd=tree.results,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (CLOSED_PIPE, b"")


def test_an_acceptance_that_is_gone(tree, typed):
    """No command brings it back, and the sentence says so."""
    accepted = tree / "lineage/accepted/0002.json"
    accepted.parent.mkdir()
    content = {"schema": 1, "target": "fig02", "reason": "none", "records": {}}
    accepted.write_text(json.dumps({**content, "time": "2026-01-01T00:00:00+00:00"}))
    code, out, _ = typed("audit", "--json")
    said = json.loads(out)
    assert (code, said["command"]) == (1, "")
    words = "Not verified: 1 missing; nothing but a copy brings back lineage/accepted/0001.json. "
    assert said["sentence"].startswith(words)
