"""A project that changed since: what is stale is found by its cause, and what is not is not.

Snakemake is asked each time.
"""

from __future__ import annotations

import os
import shutil

import pytest

from zsl.audit.errors import AuditError
from zsl.audit.planned import mirror
from zsl.audit.say import as_text

CONFIG = "config/tiny.yaml"
FIT, CURVE = "fits/main-small.json", "curves/train_loss/main-small.csv"
TOKENS, SEGMENT = "data/invented/tokens", "training/main-small/00000000-00000016"
AFTER_FIT = {"figures", "tables", "compare", "fits"}
"""Folders of what was made from the fits, and these."""


def stale(found):
    """What an audit says of everything stale."""
    return {f.path: [str(change) for change in f.changes] for f in found.of("stale")}


def folders(paths):
    return {path.partition("/")[0] for path in paths}


def fine(found):
    assert found.passed(strict=True), [f for f in found.findings if not f.strictly_fine]


def test_nothing_was_changed(made):
    found = made.audit()
    fine(found)
    assert found.planned


def test_a_changed_module(changed):
    path = changed.root / "src/zsl/fits/bnsl.py"
    path.write_text(path.read_text() + "\n\ndef another() -> int:\n    return 1\n")
    found = changed.audit()
    said = stale(found)
    assert "module zsl.fits.bnsl: another new" in said[FIT]
    assert said["compare/compare.csv"] == ["input tables/table1.csv: is stale itself"]
    assert folders(said) == AFTER_FIT
    assert not found.passed()
    assert not found.of("altered")


def test_a_comment_and_a_docstring_in_a_module(changed):
    path = changed.root / "src/zsl/fits/bnsl.py"
    text = path.read_text()
    assert text.startswith('"""')
    longer = text.replace('"""', '"""Once more: ', 1)
    path.write_text(f"# A comment.\n{longer}")
    fine(changed.audit())


def test_a_changed_script(changed):
    path = changed.root / "workflow/scripts/fit.py"
    path.write_text(path.read_text() + "\nanother = 1\n")
    assert stale(changed.audit())[FIT] == ["module workflow/scripts/fit.py: another new"]


def test_a_changed_version_in_the_lock(changed):
    lock = changed.root / "requirements.lock"
    lines = lock.read_text().splitlines(keepends=True)
    lock.write_text(
        "".join("tabulate==9.9.9\n" if x.startswith("tabulate==") else x for x in lines)
    )
    said = stale(changed.audit())
    (words,) = said["tables/table1.tex"]
    assert words.startswith("package tabulate: ")
    assert words.endswith(" -> 9.9.9")
    assert folders(said) == {"tables", "compare"}


def test_a_comment_and_an_unused_package_in_the_lock(changed):
    lock = changed.root / "requirements.lock"
    lock.write_text(f"# A comment.\n{lock.read_text()}nothing-needs-this==1.0\n")
    fine(changed.audit())


def test_a_changed_setting(changed):
    changed.replace(CONFIG, "cut: 4", "cut: 6")
    said = stale(changed.audit())
    assert said[FIT] == ["setting settings.cut: 4 -> 6"]
    assert folders(said) == AFTER_FIT


def test_a_setting_that_is_written_in_another_way(changed):
    changed.replace(CONFIG, "1.0e-2", "0.01")
    changed.replace(CONFIG, "fits: {cut: 4,", "# A comment.\nfits: {cut: 4,")
    fine(changed.audit())


def test_one_byte_in_a_corpus(changed):
    path = changed.root / "text/1.txt"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    found = changed.audit()
    said = stale(found)
    assert said[TOKENS] == ["input text/1.txt: its bytes are others now"]
    assert said[SEGMENT][0] == "input data/invented/manifest.json: is stale itself"
    assert folders(said) >= AFTER_FIT | {"training", "data", "curves", "measurements"}
    (source,) = found.of("altered")
    assert (source.path, source.kind) == ("text/1.txt", "source")
    assert "pinned by" in source.details[0]


def test_a_run_that_was_added(changed):
    changed.replace(CONFIG, "      small: {", "      large: {model: {d_model: 16}}\n      small: {")
    found = changed.audit()
    missing = {f.path: f.details for f in found.of("missing")}
    assert missing["fits/main-large.json"] == ("it was not made yet",)
    assert (
        "input results/tiny/fits/main-large.json: is read now" in stale(found)["tables/table1.md"]
    )
    assert {f.path for f in found.of("verified")} > {FIT, CURVE, SEGMENT}


def test_a_run_that_was_renamed(changed):
    changed.replace(CONFIG, "      small: {", "      other: {")
    said = stale(changed.audit())
    assert said[FIT] == ["rule fit: fit -> nothing", f"input {CURVE}: is stale itself"]
    assert "input results/tiny/fits/main-small.json: is not read now" in said["tables/table1.md"]


def test_a_project_of_which_every_file_is_old(changed):
    for folder in ("src", "config", "workflow", "text", "results"):
        for path in (changed.root / folder).rglob("*"):
            os.utime(path, (0, 0))
    fine(changed.audit())


def test_a_job_that_ran_again_with_the_same_bytes(changed):
    changed.snakemake("--force", f"results/tiny/{CURVE}")
    found = changed.audit()
    fine(found)
    words = "jobs that ran again after their results were read, with the same bytes: "
    assert any(note.startswith(words) for note in found.notes)


def test_a_changed_project_that_was_made_again(changed):
    changed.replace(CONFIG, "cut: 4", "cut: 6")
    changed.snakemake()
    fine(changed.audit())


def test_a_target_alone(changed):
    """What is wrong elsewhere is not said of a target; what is wrong below it is."""
    (changed.results / "figures/fig03.pdf").write_bytes(b"")
    fine(changed.audit("fig02"))
    assert [f.path for f in changed.audit("fig03").of("altered")] == ["figures/fig03.pdf"]
    (changed.results / CURVE).write_bytes(b"")
    assert [f.path for f in changed.audit("fig02").of("altered")] == [CURVE]


def test_a_target_that_there_is_not(made):
    with pytest.raises(AuditError, match="fig99"):
        made.audit("fig99")
    with pytest.raises(AuditError, match=r"did you mean fig02\? Targets are figures"):
        made.audit("fig2")


def test_a_snakefile_that_cannot_be_read(changed):
    (changed.root / "Snakefile").write_text("rule :::\n")
    with pytest.raises(AuditError, match="Snakemake cannot plan the targets"):
        changed.audit()


def test_a_source_that_is_gone(changed):
    """Nothing speaks against what was made from it, but it cannot be hashed again."""
    (changed.root / "text/2.txt").unlink()
    found = changed.audit()
    assert found.passed(), stale(found)
    assert not found.passed(strict=True)
    assert [f.path for f in found.findings if not f.strictly_fine] == ["text/2.txt"]


def test_a_copy_with_another_name_and_without_its_sources(changed, tmp_path):
    """It stands for the results of the experiment, whatever its folder is called."""
    copy = tmp_path / "stick" / "of july"
    shutil.copytree(changed.results, copy)
    for path in (*(changed.root / "text").iterdir(), *changed.results.iterdir()):
        path.rename(tmp_path / path.name)
    found = changed.audit(results=copy)
    assert found.passed(), stale(found)
    of_one = "whether the settings of 1 records have changed since was not checked"
    assert sum(of_one in note for note in found.notes) == 1


def test_folders_above_that_cannot_be_listed(tmp_path, monkeypatch):
    """Those of all homes often cannot, though every path through them can be read."""
    project = tmp_path / "home/user/project"
    project.mkdir(parents=True)
    for name in ("project/Snakefile", "beside.txt", "../others.txt"):
        (project.parent / name).write_text(name)
    scratch = tmp_path / "scratch"
    listed = type(project).iterdir

    def iterdir(folder):
        if folder == project.parents[1]:
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(type(project), "iterdir", iterdir)
    scratch.mkdir()
    here = mirror(project, scratch)
    assert (here / "Snakefile").read_text() == "project/Snakefile"
    assert (here / "../beside.txt").read_text() == "beside.txt"
    assert not (here / "../../others.txt").exists()


def test_results_without_their_project(changed, tmp_path):
    alone = tmp_path / "alone"
    shutil.copytree(changed.results, alone / "tiny")
    project = type(changed)(alone)
    found = project.audit(results=alone / "tiny")
    assert not found.planned
    assert found.passed()
    assert any("whether code or settings have changed since" in note for note in found.notes)
    (alone / "tiny" / FIT).write_bytes(b"")
    assert [f.path for f in project.audit(results=alone / "tiny").of("altered")] == [FIT]


def test_a_workflow_that_is_running(changed):
    lock = changed.root / ".snakemake/locks/0.input.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("")
    (changed.results / FIT).unlink()
    found = changed.audit()
    assert any(note.startswith("the workflow is running") for note in found.notes)
    assert "Mend it, once the workflow has ended, with:" in as_text(found, "a command")
    lock.unlink()
    assert "Mend it with:" in as_text(changed.audit(), "a command")
