"""Places in which a change could be hidden from an audit, and files that could end one."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from zsl.audit.disk import read_disk
from zsl.audit.errors import AuditError
from zsl.lineage.root import record_digests, root_of

FIT_RECORD, PAGE_RECORD = "lineage/fits/main-small.json", "lineage/provenance/root.json"
STEP = "training/main-small/00000000-00000016/step00000004"
SEGMENT = "training/main-small/00000000-00000016"
CONFIG = "config/tiny.yaml"


def said_of(found):
    return {(f.path, f.status) for f in found.findings if not f.fine}


@pytest.mark.parametrize("name", ["root", "x"])
def test_a_record_of_the_report_that_claims_a_figure(tree, name):
    """Such records are in no history, so they may be of the page alone."""
    (tree / "figures/fig99.pdf").write_bytes(b"%PDF")
    path = f"lineage/provenance/{name}.json"
    content = tree.record(PAGE_RECORD)
    extra = {**content["outputs"][0], "path": "results/tiny/figures/fig99.pdf"}
    content |= {"path": f"results/tiny/{path}", "outputs": [*content["outputs"], extra]}
    (tree / path).write_text(json.dumps(content))
    tree.cover_up("figures/fig99.pdf", path)
    for held in (None, tree.held):
        said = said_of(tree.audit(held=held))
        assert {(path, "altered"), ("figures/fig99.pdf", "unrecorded")} <= said


def test_a_record_of_the_report_without_its_page(tree):
    tree.rewrite(PAGE_RECORD, lambda content: content["outputs"].pop())
    assert (PAGE_RECORD, "altered") in said_of(tree.audit(held=tree.held))


def test_a_record_that_is_of_less_than_its_job_makes(tree):
    tree.rewrite(FIT_RECORD, lambda content: content["outputs"].clear())
    tree.forge(FIT_RECORD)
    assert ("fits/main-small.json", "unknown") in said_of(tree.audit())


def test_artifacts_deleted_with_their_records_and_without_the_project(made, tree, tmp_path):
    for folder in ("training", "measurements", "data", "curves", "fits"):
        shutil.rmtree(tree / folder)
        shutil.rmtree(tree / "lineage" / folder)
    alone = type(made)(tmp_path)
    for targets in ((), ("fig03",)):
        said = said_of(alone.audit(*targets, results=tree.results))
        gone = {("fits/main-small.json", "missing"), (SEGMENT, "missing")}
        assert gone | {(FIT_RECORD, "missing")} <= said


@pytest.mark.parametrize("folder", ["history", "code"])
def test_a_copy_of_a_kept_file_deeper_down(tree, folder):
    """It does not stand for the one that was edited."""
    first = sorted((tree / "lineage" / folder).iterdir())[0]
    inside = f"lineage/{folder}/{first.name}"
    (first.parent / "z").mkdir()
    shutil.copyfile(first, first.parent / "z" / first.name)
    if folder == "code":
        first.write_text(first.read_text() + "\nadded = 1\n")
    else:
        first.write_text(first.read_text().replace('"schema":', '"edited": 1, "schema":', 1))
    copy = f"lineage/{folder}/z/{first.name}"
    assert {(inside, "altered"), (copy, "unrecorded")} <= said_of(tree.audit())


@pytest.mark.parametrize(
    "path",
    [
        *("history/notes.txt", "history/x.json", "accepted/x.JSON", "accepted/\u00b2.json"),
        *("accepted/99999999999.json", "code/notes.py", "accepted/z/0001.json"),
    ],
)
def test_an_extra_file_where_records_are_kept(tree, path):
    (tree / "lineage" / path).parent.mkdir(parents=True, exist_ok=True)
    acceptance = {"schema": 1, "target": "all", "reason": "none", "records": {}}
    text = json.dumps({**acceptance, "time": "2026-01-01T00:00:00+00:00"})
    (tree / "lineage" / path).write_text(text)
    said = said_of(tree.audit())
    assert said == {(f"lineage/{path}", "unrecorded")}


def test_a_name_that_is_no_text(tree):
    (tree / "lineage" / os.fsdecode(b"a\xff.txt")).write_bytes(b"anything")
    assert said_of(tree.audit()) == {("lineage/a\udcff.txt", "unrecorded")}
    assert root_of(record_digests(tree / "lineage")) != tree.held.root


def test_a_pipe_among_checkpoints(tree):
    os.mkfifo(tree / STEP / "pipe")
    tree.sees({(SEGMENT, "altered"): "step00000004/pipe was added"})


def test_a_checkpoint_that_is_a_pipe(tree):
    (tree / STEP / "model.safetensors").unlink()
    os.mkfifo(tree / STEP / "model.safetensors")
    tree.sees({(SEGMENT, "unknown"): "step00000004/model.safetensors cannot be read: no plain"})


def closed(monkeypatch, folder):
    """Let a folder be one that may not be listed, for root, too."""
    scandir = os.scandir

    def refuse(path="."):
        if os.fspath(path) == os.fspath(folder):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


def test_a_folder_that_may_not_be_listed(tree, monkeypatch):
    closed(monkeypatch, tree / "figures")
    found = tree.audit()
    of_figures = [f for f in found.findings if f.path.startswith("figures/")]
    assert {f.status for f in of_figures} == {"unreadable"}
    assert of_figures[0].details[0].startswith("not readable by you: ask its owner")
    assert {path for path, _ in said_of(found)} == {f.path for f in of_figures}


def test_an_extra_folder_that_may_not_be_listed(tree, monkeypatch):
    (tree / "figures/more").mkdir()
    closed(monkeypatch, tree / "figures/more")
    tree.sees({("figures/more", "unrecorded"): ""})
    assert not read_disk(tree.results).below("figures/more")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_number_that_json_has_not(tree, number):
    tree.replace(FIT_RECORD, '"cut": 4', f'"cut": {number}')
    said = {f.path: " ".join(f.details) for f in tree.audit().of("altered")}
    assert f"{number} is no number" in said[FIT_RECORD]


def test_an_acceptance_of_another_form(tree):
    path = tree / "lineage/accepted/0001.json"
    path.parent.mkdir()
    records = {FIT_RECORD: {"sha256": "0" * 64, "changes": "abc"}}
    content = {"schema": 1, "target": "all", "reason": "none", "records": records}
    path.write_text(json.dumps({**content, "time": "2026-01-01T00:00:00+00:00"}))
    assert said_of(tree.audit()) == {("lineage/accepted/0001.json", "altered")}


def test_a_record_of_another_experiment_in_the_history(changed):
    """It does not keep an audit from comparing with the project."""
    changed.replace(CONFIG, "cut: 4", "cut: 6")
    content = json.loads((changed.results / FIT_RECORD).read_text())
    content["path"] = f"a/{FIT_RECORD}"
    text = json.dumps(content)
    for number in range(3):
        (changed.results / f"lineage/history/{number:064d}.json").write_text(text)
    found = changed.audit()
    assert found.planned
    assert ("fits/main-small.json", "stale") in said_of(found)


def test_results_of_another_experiment_in_its_folder(changed):
    changed.replace(CONFIG, "experiment: tiny", "experiment: other")
    changed.results.rename(changed.root / "results/other")
    with pytest.raises(AuditError, match="holds records of experiment tiny, not of other"):
        changed.audit()


def test_a_changed_setting_of_what_cannot_be_planned(changed):
    """A raw source is gone, so Snakemake plans nothing, and the audit says so."""
    (changed.root / "text/2.txt").unlink()
    changed.replace(CONFIG, "cut: 4", "cut: 6")
    found = changed.audit()
    assert not found.planned
    assert any("settings of" in note and "was not checked" in note for note in found.notes)


def test_what_was_accepted_is_not_accepted_for_a_later_change(changed):
    from zsl.audit.accepted import accept
    from zsl.audit.run import Question

    changed.replace(CONFIG, "cut: 4", "cut: 6")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(changed.root / "src"))
        accept(Question(changed.root, (changed.config,), targets=("fig03",)), "fig03", "tried")
    assert changed.audit("fig03").passed()
    changed.replace(CONFIG, "cut: 6", "cut: 8")
    said = {f.path: f.accepted for f in changed.audit("fig03").of("stale")}
    assert said
    assert not any(said.values())
