"""Results that were copied or belong to another user: what Snakemake would do, and is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from unprivileged import NOBODY, as_another, as_nobody

CONFIG = ["--configfile", "config/tiny.yaml"]
MAIN = "import sys; from zsl.cli import main; sys.exit(main())"
FIRST = "training/main-small/00000000-00000016"
LATER = "training/main-small/00000016-00000032"
MANIFEST = f"results/tiny/{LATER}.manifest.json"
REFUSED = "Snakemake would train again for nothing:"
ASKED = """
import sys
from zsl.audit.planned import _workflow
from zsl.audit.retrained import require_told
require_told(_workflow(["config/tiny.yaml"], [sys.argv[1]]).dag, "")
"""


@pytest.fixture
def copied(made, tmp_path):
    """A copy without times, made in another order than the files were, and without `.snakemake`."""
    project = made.copy(tmp_path / "project")
    shutil.rmtree(project.root / ".snakemake")
    for number, path in enumerate(sorted(project.results.rglob("*"), reverse=True)):
        os.utime(path, (1e9 + number, 1e9 + number))
    for path in (project.root / "text").iterdir():
        os.utime(path, (1, 1))
    return project


def run(project, *command):
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])  # noqa: PTH120
    environment = {**os.environ, "PYTHONPATH": str(project.root / "src"), "PATH": path}
    return subprocess.run(
        command, cwd=project.root, env=environment, capture_output=True, text=True
    )


def audit(project):
    done = run(project, sys.executable, "-c", MAIN, "audit", *CONFIG, "--json")
    return done.returncode, json.loads(done.stdout)


def snakemake(project, *arguments):
    options = ["--cores", "2", *CONFIG, "--nocolor"]
    return run(project, sys.executable, "-m", "snakemake", *arguments, *options)


def test_a_copy_is_not_trained_again_and_snakemake_can_be_told(copied):
    before = {path: path.read_bytes() for path in copied.results.rglob("*") if path.is_file()}
    done = snakemake(copied)
    assert done.returncode == 1
    said = done.stderr.strip().splitlines()[-1]
    assert f"{REFUSED} results/tiny/{FIRST}, results/tiny/{LATER}. Code, " in said
    assert "Type `zsl audit --configfile config/tiny.yaml`" in said
    assert said.endswith("add --forcerun train")
    code, found = audit(copied)
    assert (code, found["passed"]) == (0, True)
    assert found["run_again_for_nothing"] > 10
    assert found["command"] == (
        "snakemake --cores all --touch --forceall all --configfile config/tiny.yaml"
    )
    told = run(copied, "bash", "-c", found["command"])
    assert told.returncode == 0, told.stderr
    assert "Nothing to be done" in snakemake(copied).stderr
    assert {path: path.read_bytes() for path in before} == before
    code, found = audit(copied)
    assert (code, found["command"], found["run_again_for_nothing"]) == (0, "", 0)
    # It remembers settings again, also of what it would not have made.
    copied.replace("config/tiny.yaml", "1.0e-2", "2.0e-2")
    assert "train               2" in snakemake(copied, "--dry-run").stdout


def test_what_is_wrong_in_a_copy_is_mended_and_nothing_else_made(copied):
    (copied.results / "figures/fig02.csv").write_text("altered")
    code, found = audit(copied)
    assert code == 1
    assert found["command"].startswith("snakemake --cores all --touch --forceall results/tiny/")
    records = {path: path.stat().st_ino for path in copied.results.glob("lineage/[a-z]*/**/*.json")}
    done = run(copied, "bash", "-c", found["command"])
    assert done.returncode == 0, done.stderr
    assert audit(copied)[0] == 0
    again = {path.stem for path, inode in records.items() if path.stat().st_ino != inode}
    assert again == {"fig02", "root"}


def test_results_without_the_memory_of_snakemake(made, tmp_path):
    """Times are as they were, so that nothing would be made again, whatever is changed."""
    project = made.copy(tmp_path / "project")
    shutil.rmtree(project.root / ".snakemake")
    code, found = audit(project)
    assert (code, found["run_again_for_nothing"]) == (0, 0)
    assert "--touch --forceall all" in found["command"]


def add(path, text):
    with path.open("a") as file:
        file.write(text)


CHANGES = {
    "nothing": (lambda p: None, True),
    "another setting": (lambda p: p.replace("config/tiny.yaml", "cut: 4", "cut: 6"), True),
    "no tokens": (lambda p: shutil.rmtree(p.results / "data/invented/tokens"), True),
    "rate": (lambda p: p.replace("config/tiny.yaml", "1.0e-2", "2.0e-2"), False),
    "code": (lambda p: add(p.root / "src/zsl/training/step.py", "\nADDED = 1\n"), False),
    "text": (lambda p: add(p.root / "text/1.txt", "bal bel"), False),
    "size": (lambda p: add(p.results / LATER / "step00000032/model.safetensors", "x"), False),
    "no record": (lambda p: (p.results / f"lineage/{LATER}.json").unlink(), False),
    "a broken record": (lambda p: (p.results / f"lineage/{LATER}.json").write_text("{"), False),
    "no checkpoints": (lambda p: shutil.rmtree(p.results / LATER), False),
}
"""By what was changed: how, and whether training again would be for nothing."""


@pytest.mark.parametrize("name", CHANGES)
def test_what_has_changed_is_trained_again(copied, name):
    change, for_nothing = CHANGES[name]
    change(copied)
    said = run(copied, sys.executable, "-c", ASKED, MANIFEST)
    named = said.stderr.partition(REFUSED)[2]
    assert (LATER in named) is for_nothing, said.stderr


def test_whoever_says_so_trains_again(copied):
    done = snakemake(copied, MANIFEST, "--forcerun", "train")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Training main-small") == 2


@pytest.mark.parametrize(
    "path",
    [
        f"{FIRST}/step00000004/model.safetensors",
        "training",
        f"lineage/{FIRST}.json",
    ],
)
def test_another_user_audits_private_files(changed, close, path):
    """With Snakemake, which takes what it may not see for missing."""
    close(changed.results / path)
    command = [sys.executable, "-c", MAIN, "audit", *CONFIG, "--json"]
    done = run(changed, *as_another(command))
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    statuses = {f["status"] for f in found["findings"]} - {"verified", "imported"}
    assert statuses == {"unreadable"}
    assert found["command"].startswith("# not readable by you: ask its owner, ")


def test_another_user_audits_and_makes_a_figure_again_in_a_copy(made, tmp_path):
    """In the folder itself nothing is written: it is not theirs."""
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    outside = [f"HOME={home}", f"XDG_CACHE_HOME={home}/cache"]
    prefix = as_nobody(["env", *outside, sys.executable])
    audit = [*prefix, "-c", MAIN, "audit", *CONFIG]
    fig02 = [*prefix, "-m", "snakemake", "--cores", "2", "fig02", "--forcerun", "figure", *CONFIG]
    before = {path: path.stat().st_mtime_ns for path in made.root.rglob("*")}
    assert run(made, *audit).returncode == 0
    refused = run(made, *fig02)
    assert refused.returncode == 1
    said = refused.stderr.strip().splitlines()[-2:]
    assert said[0] == "Error in the command:"
    assert "another user's, in which you may not write; work in a copy" in said[1]
    assert {path: path.stat().st_mtime_ns for path in made.root.rglob("*")} == before
    copy = type(made)(home / "project")
    run(made, *as_nobody(["cp", "-a", str(made.root), str(copy.root)]))
    figure = copy.results / "figures/fig02.csv"
    drawn = figure.read_bytes()
    for command in (fig02, [*prefix, "-m", "snakemake", "--cores", "2", "all", *CONFIG]):
        done = run(copy, *command)
        assert done.returncode == 0, done.stderr
    assert figure.stat().st_uid == NOBODY
    assert figure.read_bytes() == drawn
    assert run(copy, *audit).returncode == 0
