"""Artifacts that were tampered with: each is found, named and classed, with and without a root.

Records are untouched, so a root held elsewhere neither helps nor is needed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import h5py
import numpy as np

SEGMENT = "training/main-small/00000000-00000016"
LATER = "training/main-small/00000016-00000032"
WEIGHTS = f"{SEGMENT}/step00000004/model.safetensors"
DELTA = "measurements/delta_loss/main-small/00000000-00000016.h5"
CURVE = "curves/train_loss/main-small.csv"
FIT = "fits/main-small.json"


def test_nothing_was_changed(tree):
    found = tree.sees({})
    assert {finding.status for finding in found.findings} == {"verified", "imported"}
    short = [check for check in found.checks if not check.holds]
    assert [(check.name, check.holds) for check in short] == [
        ("losses go on across segments", None)
    ]


def test_one_byte_in_a_checkpoint(tree):
    tree.flip(WEIGHTS)
    tree.sees({(SEGMENT, "altered"): "step00000004/model.safetensors differs"})


def test_a_truncated_checkpoint(tree):
    with (tree / WEIGHTS).open("r+b") as file:
        file.truncate(100)
    tree.sees({(SEGMENT, "altered"): "step00000004/model.safetensors differs"})


def test_a_swapped_pair_of_checkpoints(tree):
    one, two = tree / f"{SEGMENT}/step00000004", tree / f"{SEGMENT}/step00000008"
    one.rename(tree / "kept")
    two.rename(one)
    (tree / "kept").rename(two)
    words = "step00000004/model.safetensors differs: it has the bytes of step00000008/model"
    tree.sees({(SEGMENT, "altered"): words}, checks=["checkpoints are of the step"])


def test_a_checkpoint_from_another_segment(tree):
    shutil.copyfile(tree / f"{LATER}/step00000032/model.safetensors", tree / WEIGHTS)
    tree.sees({(SEGMENT, "altered"): "step00000004/model.safetensors differs"})


def test_an_extra_checkpoint(tree):
    shutil.copytree(tree / f"{SEGMENT}/step00000004", tree / f"{SEGMENT}/step00000005")
    tree.sees({(SEGMENT, "altered"): "step00000005/model.safetensors was added"})


def test_a_deleted_checkpoint(tree):
    shutil.rmtree(tree / f"{SEGMENT}/step00000004")
    tree.sees({(SEGMENT, "altered"): "step00000004/model.safetensors is missing"})


def test_a_deleted_segment(tree):
    shutil.rmtree(tree / LATER)
    tree.sees({(LATER, "missing"): ""})


def test_an_emptied_segment(tree):
    for path in (tree / LATER / "step00000032").iterdir():
        path.unlink()
    tree.sees({(LATER, "missing"): "step00000032/model.safetensors is missing"})


def test_one_byte_in_hdf5(tree):
    tree.flip(DELTA)
    tree.sees({(DELTA, "altered"): "SHA-256"})


def test_one_value_in_hdf5(tree):
    with h5py.File(tree / DELTA, "r+") as file:
        found: list[h5py.Dataset] = []
        file.visititems(lambda _, item: found.append(item) if hasattr(item, "dtype") else None)
        found[0][...] = np.asarray(found[0]) + np.ones((), found[0].dtype)
    tree.sees({(DELTA, "altered"): "values differ"})


def test_hdf5_written_anew_with_the_same_values(tree):
    with h5py.File(tree / DELTA) as old, h5py.File(tree / "new.h5", "w", libver="latest") as new:
        for name in old:
            old.copy(name, new)
        new.attrs.update(old.attrs)
    (tree / "new.h5").replace(tree / DELTA)
    tree.sees({(DELTA, "altered"): "only the layout differs"})


def test_truncated_hdf5(tree):
    with (tree / DELTA).open("r+b") as file:
        file.truncate(1000)
    tree.sees({(DELTA, "altered"): "it cannot be read as HDF5 any more"})


def test_one_byte_in_a_csv(tree):
    tree.flip(CURVE)
    tree.sees({(CURVE, "altered"): "SHA-256"})


def test_one_byte_in_a_pdf(tree):
    tree.flip("figures/fig02.pdf")
    tree.sees({("figures/fig02.pdf", "altered"): "SHA-256"})


def test_a_hand_edited_table(tree):
    tree.replace("tables/table1.md", "0", "1")
    tree.sees({("tables/table1.md", "altered"): "SHA-256"})


def test_an_edited_fit(tree):
    tree.replace(FIT, '"T": 32', '"T": 320')
    tree.sees({(FIT, "altered"): "bytes, recorded"})


def test_an_edited_manifest_of_checkpoints(tree):
    tree.flip(f"{SEGMENT}.manifest.json")
    tree.sees({(f"{SEGMENT}.manifest.json", "altered"): "SHA-256"})


def test_a_truncated_manifest_of_a_corpus(tree):
    path = tree / "data/invented/manifest.json"
    path.write_bytes(path.read_bytes()[:100])
    found = {("data/invented/manifest.json", "altered"): "100 bytes"}
    tree.sees(found, checks=["evaluation tokens are not"])


def test_one_token(tree):
    tree.flip("data/invented/tokens/train-00000.bin")
    tree.sees({("data/invented/tokens", "altered"): "train-00000.bin differs"})


def test_a_deleted_intermediate(tree):
    (tree / CURVE).unlink()
    tree.sees({(CURVE, "missing"): ""})


def test_a_deleted_folder_of_figures(tree):
    shutil.rmtree(tree / "figures")
    suffixes = ("csv", "md", "pdf", "svg")
    tree.sees({(f"figures/{f}.{s}", "missing"): "" for f in ("fig02", "fig03") for s in suffixes})


def test_an_extra_file(tree):
    (tree / "figures/fig99.pdf").write_bytes(b"%PDF")
    tree.sees({("figures/fig99.pdf", "unrecorded"): ""})


def test_what_an_interrupted_job_left(tree):
    (tree / "fits/.main-small.json.abc").write_bytes(b"{")
    words = "left by an interrupted job"
    tree.sees({("fits/.main-small.json.abc", "unrecorded"): words})


def test_a_symlink_to_the_same_bytes(tree, tmp_path):
    (tree / CURVE).rename(tmp_path / "curve.csv")
    (tree / CURVE).symlink_to(tmp_path / "curve.csv")
    tree.sees({(CURVE, "altered"): f"is a symbolic link to {tmp_path}/curve.csv, was none"})


def test_a_symlink_in_a_segment(tree, tmp_path):
    (tree / WEIGHTS).rename(tmp_path / "weights")
    (tree / WEIGHTS).symlink_to(tmp_path / "weights")
    tree.sees({(SEGMENT, "altered"): "step00000004/model.safetensors is a symbolic link"})


def test_a_segment_that_is_a_symlink(tree, tmp_path):
    shutil.move(tree / LATER, tmp_path / "segment")
    (tree / LATER).symlink_to(tmp_path / "segment")
    tree.sees({(LATER, "altered"): "is a symbolic link"})


def test_a_symlink_that_leads_nowhere(tree):
    (tree / "figures/fig02.svg").unlink()
    (tree / "figures/fig02.svg").symlink_to("nowhere.svg")
    tree.sees({("figures/fig02.svg", "altered"): "is a symbolic link to nowhere.svg"})


def test_a_folder_in_place_of_a_file(tree):
    (tree / CURVE).unlink()
    (tree / CURVE).mkdir()
    tree.sees({(CURVE, "missing"): ""})


def test_a_file_in_place_of_a_folder(tree):
    shutil.rmtree(tree / LATER)
    (tree / LATER).write_bytes(b"")
    tree.sees({(LATER, "missing"): ""})


def test_times_set_back(tree):
    for path in tree.results.rglob("*"):
        os.utime(path, (0, 0))
    tree.sees({})


def test_logs_and_states_are_no_artifacts(tree):
    (tree / "logs/new.log").write_text("anything")
    (tree / "state/new").mkdir(parents=True)
    (tree / "state/new/half").write_text("anything")
    tree.sees({})


def test_the_folder_may_lie_elsewhere_under_another_name(tree, tmp_path):
    tree.results = tree.results.rename(tmp_path / "renamed")
    tree.sees({})


def test_the_report_page_was_edited(tree):
    tree.replace("provenance/root.html", "Provenance", "provenance")
    tree.sees({("provenance/root.html", "altered"): "SHA-256"})


def test_a_snakemake_timestamp_is_no_part_of_a_folder(tree):
    Path(tree / SEGMENT / ".snakemake_timestamp").write_text("")
    tree.sees({})
