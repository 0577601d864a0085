"""An audit changes nothing, and goes on while others do."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from zsl.audit import run
from zsl.audit.disk import read_disk

WRITTEN = ("figures", "tables", "fits", "curves", "lineage")


def snapshot(folder):
    """Everything below a folder with size, time of its bytes, time of its entry, and mode."""
    paths = [folder, *folder.rglob("*")]
    states = {path: path.lstat() for path in paths}
    return {
        path: (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_mode, found.st_ino)
        for path, found in states.items()
    }


def test_an_audit_changes_nothing_in_the_project(made):
    before = snapshot(made.root)
    assert any(".snakemake" in path.parts for path in before)
    made.audit()
    assert snapshot(made.root) == before


def test_an_audit_of_a_copy_changes_nothing_in_it(made, tree, monkeypatch):
    monkeypatch.undo()  # Snakemake is asked
    before = snapshot(made.root), snapshot(tree.results)
    assert made.audit(results=tree.results).planned
    assert (snapshot(made.root), snapshot(tree.results)) == before


def test_an_audit_leaves_no_scratch_folder(made, monkeypatch, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    made.audit()
    assert not [*scratch.glob("zsl-audit-*")]


def test_results_that_nobody_may_write_to(tree):
    folders = [path for path in tree.results.rglob("*") if path.is_dir()]
    try:
        for path in [*folders, tree.results]:
            path.chmod(0o555)
        tree.sees({})
    finally:
        for path in [tree.results, *folders]:
            path.chmod(0o755)


def test_a_home_that_nobody_may_write_to(tree, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    assert tree.audit(fast=True).passed()


@pytest.mark.parametrize("folder", WRITTEN)
def test_files_that_vanish_after_they_were_hashed(tree, monkeypatch, folder):
    """Altered ones, too, of which an audit wants to say more."""
    for path in (tree / folder).rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes() + b" ")

    def read(results: Path, **options):
        found = read_disk(results, **options)
        for path in (results / folder).rglob("*"):
            if path.is_file():
                path.unlink()
        return found

    monkeypatch.setattr(run, "read_disk", read)
    assert not tree.audit().passed()


def test_files_that_vanish_before_they_are_hashed(tree, monkeypatch):
    walked = os.walk

    def walk(folder, *arguments, **options):
        rows = [*walked(folder, *arguments, **options)]
        for name in ("fits/main-small.json", "figures/fig02.pdf"):
            (tree / name).unlink(missing_ok=True)
        return iter(rows)

    monkeypatch.setattr("zsl.audit.disk.os.walk", walk)
    missing = [finding.path for finding in tree.audit().of("missing")]
    assert missing == ["figures/fig02.pdf", "fits/main-small.json"]


def test_an_audit_while_files_come_and_go(tree):
    """A thread writes files anew, as jobs do, until five audits are done."""
    files = [
        path
        for folder in WRITTEN
        for path in (tree / folder).rglob("*")
        if path.is_file() and not path.is_relative_to(tree / "lineage/history")
    ]
    contents = {path: path.read_bytes() for path in files}
    done = threading.Event()

    def rewrite():
        while not done.is_set():
            for path, data in contents.items():
                path.unlink()
                path.with_name(f".{path.name}.new").write_bytes(data)
                path.with_name(f".{path.name}.new").replace(path)
            link = tree / "figures/link"
            link.symlink_to("nowhere")
            link.unlink()

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        audits = [tree.audit() for _ in range(5)]
    finally:
        done.set()
        writer.join()
    assert all(audit.findings for audit in audits)
    tree.sees({})


def test_a_job_that_is_not_planned_any_more_and_whose_file_is_gone(tree):
    record = "results/tiny/lineage/fits/main-small.json"
    jobs = {path: job for path, job in tree.planned.jobs.items() if path != record}
    tree.planned = replace(tree.planned, jobs=jobs, wanted=tree.planned.wanted - {record})
    (tree / "fits/main-small.json").unlink()
    assert [finding.path for finding in tree.audit().of("missing")] == ["fits/main-small.json"]
