"""The command that an audit prints, typed into a shell: the next audit passes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from zsl.lineage.root import record_digests, root_of

MAIN = "import sys; from zsl.cli import main; sys.exit(main())"
FIT_RECORD, FIGURE_RECORD = "lineage/fits/main-small.json", "lineage/figures/fig02.json"


def kept(results, record=FIT_RECORD):
    """The copy of a record in the history."""
    return results / f"lineage/history/{record_digests(results / 'lineage')[record[8:]]}.json"


def one_source(results):
    """A kept source that was code of the fit."""
    modules = json.loads((results / FIT_RECORD).read_text())["code"]["modules"]
    return results / f"lineage/code/{modules['zsl.fits.bnsl']}.py"


def another_link(path, target):
    path.unlink()
    path.symlink_to(target)


def many_files(results):
    for n in range(20):
        (results / f"figures/a {n}; $(false)").write_text("")


DAMAGE = {
    "a copy in the history was damaged": lambda r: kept(r).write_text("{"),
    "a copy in the history was edited": lambda r: kept(r).write_bytes(kept(r).read_bytes() + b" "),
    "a copy in the history was deleted": lambda r: kept(r).unlink(),
    "a copy in the history became a link": lambda r: another_link(kept(r), r / FIT_RECORD),
    "another file in the history": lambda r: (r / "lineage/history/a.json").write_text("{"),
    "another copy in the history": lambda r: shutil.copy(kept(r), r / "lineage/history/a.json"),
    "more files than a line holds": many_files,
    "a record was edited": lambda r: (r / FIT_RECORD).write_text("{}"),
    "a record became a link": lambda r: another_link(r / FIT_RECORD, kept(r, FIGURE_RECORD)),
    "a record became a link to its copy": lambda r: another_link(r / FIT_RECORD, kept(r)),
    "a folder of records is gone": lambda r: shutil.rmtree(r / "lineage/fits"),
    "a record was copied": lambda r: shutil.copy(r / FIT_RECORD, r / "lineage/fits/other.json"),
    "a record has the place of another": lambda r: shutil.copy(r / FIT_RECORD, r / FIGURE_RECORD),
    "a record was invented": lambda r: (r / "lineage/fits/other.json").write_text("{"),
    "kept code was edited": lambda r: one_source(r).write_text("x = 1"),
    "kept code was deleted": lambda r: one_source(r).unlink(),
    "kept code was added": lambda r: (r / "lineage/code/a.py").write_text("x = 1"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_copy(tree, typed, name, monkeypatch):
    """The history is that of before, and nothing but the copy was touched."""
    before, held = tree.project.results.stat(), tree.held.root
    DAMAGE[name](tree.results)
    code, out, _ = typed("audit", "--json")
    command = json.loads(out)["command"]
    assert (code, "snakemake" in command.lower()) == (1, False), command
    mended = subprocess.run(["bash", "-c", command], cwd=tree.project.root, capture_output=True)
    assert mended.returncode == 0, mended.stderr
    assert typed("audit")[0] == 0
    assert root_of(record_digests(tree / "lineage")) == held
    assert str(tree.project.results) not in command
    assert tree.project.results.stat() == before


def zsl(project, *arguments):
    """Audit a project by its command; its exit code, and the command that mends."""
    options = ["--configfile", "config/tiny.yaml", "--json", *arguments]
    done = in_project(project, [sys.executable, "-c", MAIN, "audit", *options])
    return done.returncode, json.loads(done.stdout)["command"]


def in_project(project, command):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PYTHONPATH": str(project.root / "src"), "PATH": path}
    return subprocess.run(command, cwd=project.root, env=environment, capture_output=True)


@pytest.mark.parametrize("path", ["fits/main-small.json", "lineage/provenance/root.json"])
def test_the_project(changed, path):
    """What is made again is shown by the report's page, which is made again, too."""
    (changed.results / path).write_text("altered")
    code, command = zsl(changed)
    assert code == 1
    done = in_project(changed, ["bash", "-c", command])
    assert done.returncode == 0, done.stderr
    assert zsl(changed) == (0, "")


def test_the_history_of_the_project(changed):
    kept(changed.results).write_text("{")
    code, command = zsl(changed)
    assert code == 1
    assert "snakemake" not in command
    assert in_project(changed, ["bash", "-c", command]).returncode == 0
    assert zsl(changed) == (0, "")


def test_code_that_is_another_by_now(changed):
    """Only jobs that run again keep theirs."""
    path = changed.root / "src/zsl/fits/bnsl.py"
    one_source(changed.results).unlink()
    path.write_text(path.read_text() + "\n\nANOTHER = 1\n")
    command = zsl(changed)[1]
    assert command == "snakemake --cores all all --configfile config/tiny.yaml"
    assert in_project(changed, ["bash", "-c", command]).returncode == 0
    assert zsl(changed) == (0, "")


def test_a_copy_of_which_snakemake_makes_nothing(changed, tmp_path):
    copy = shutil.copytree(changed.results, tmp_path / "tiny")
    (copy / "figures/fig02.csv").write_text("altered")
    said = f"# Snakemake makes nothing in {copy}/: bring a new copy of figures/fig02.csv"
    assert zsl(changed, "--results", str(copy)) == (1, said)
    (changed.results / "figures/fig02.csv").write_text("altered")
    assert "--force results/tiny/" in zsl(changed, "--results", "results/tiny")[1]
