"""The reader of records: what it takes for one, who made what, and what no job made."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import small_records

from zsl.files import read_json, write_json
from zsl.lineage.errors import LineageError
from zsl.lineage.store import as_record, check_record, closure, read_records, settings_of

TRAINED, FIT = "lineage/training/main-1k/32-64.json", "lineage/fits/main-1k.json"
SHOWN = "lineage/figures/fig03.json"


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    return small_records.experiment(tmp_path_factory.mktemp("store") / "results" / "small")


@pytest.fixture(scope="module")
def records(results):
    return read_records(results)


def without(content, key):
    for holder in [content, *content["inputs"], *content["outputs"]]:
        holder.pop(key, None)


@pytest.mark.parametrize("key", ["schema", "rule", "inputs", "outputs", "time", "kind", "size"])
def test_a_record_that_lacks_something_is_none(results, key):
    content = read_json(results / TRAINED)
    without(content, key)
    with pytest.raises(ValueError, match=rf"it lacks (\w+\.0\.)?{key}"):
        check_record(content)


@pytest.mark.parametrize("key", ["path", "wildcards", "params", "code", "git", "environment"])
def test_what_a_record_does_not_know_is_left_out_of_it(results, key):
    """So records of earlier versions can be read."""
    content = read_json(results / TRAINED)
    del content[key]
    record = as_record(json.dumps(content).encode(), TRAINED)
    assert (record.path, record.section(key)) == (TRAINED, {})


def test_a_folder_has_files(results):
    content = read_json(results / TRAINED)
    content["outputs"][0]["kind"] = "folder"
    with pytest.raises(ValueError, match="is a folder without files"):
        check_record(content)
    content["outputs"][0]["files"] = {"a": "0" * 64}
    check_record(content)


def test_keys_that_nobody_knows_yet_are_kept(results):
    content = read_json(results / TRAINED) | {"later": 1}
    assert as_record(json.dumps(content).encode(), TRAINED).content["later"] == 1


def test_a_record_is_named_by_its_own_path(records):
    record = records.current[FIT]
    assert (record.name, record.rule, record.start) == ("fits/main-1k", "fit", "results/small/")
    assert (records.experiment, records.start) == ("small", "results/small/")
    assert records.makers["fits/main-1k.json"] is record
    assert records.written[FIT].sha256 == record.sha256


def test_all_that_something_was_made_from(records):
    found = closure([FIT], records.current)
    before = {f"lineage/training/main-1k/{name}.json" for name in ("00-32", "32-64")}
    others = {"lineage/curves/train_loss/main-1k.json", "lineage/data/c/manifest.json"}
    assert found == {FIT} | before | others


def test_the_maker_of_an_input_is_the_record_that_it_names(results, tmp_path):
    """The current one is another, where its job ran again."""
    copied = small_records.experiment(tmp_path / "results" / "small")
    small_records.rewrite(copied / FIT, seeds={"other": 1})
    records = read_records(copied)
    shown = records.current[SHOWN]
    (entry,) = [e for e in shown.inputs if e["path"].endswith("main-1k.json")]
    maker = records.maker_of(shown, entry)
    assert maker and maker.sha256 == entry["record"] != records.current[FIT].sha256
    unnamed = {key: value for key, value in entry.items() if key != "record"}
    assert records.maker_of(shown, unnamed) is records.current[FIT]


def test_raw_files_are_named_by_the_manifest_of_a_corpus(results, records):
    corpus = records.current["lineage/data/c/manifest.json"]
    found = [*records.raw_of(corpus)]
    assert [raw.group for raw in found] == ["pkg 1.0: a/*.arrow"] * 3 + ["pkg 1.0: b/*.arrow"]
    assert {raw.kind for raw in found} == {"named"}
    assert not [*records.raw_of(records.current[FIT])]


def test_a_manifest_of_other_bytes_or_of_another_form_names_nothing(tmp_path):
    copied = small_records.experiment(tmp_path / "results" / "small")
    path, record = copied / "data/c/manifest.json", copied / "lineage/data/c/manifest.json"
    path.write_text(path.read_text() + " ")
    corpus = read_records(copied).current["lineage/data/c/manifest.json"]
    assert not [*read_records(copied).raw_of(corpus)]
    path.write_text('{"sources": ["a"]}')
    outputs = copy.deepcopy(corpus.content["outputs"])
    digest = small_records.digest(path.read_text())
    small_records.rewrite(record, outputs=[{**entry, "sha256": digest} for entry in outputs])
    records = read_records(copied)
    corpus = records.current["lineage/data/c/manifest.json"]
    with pytest.raises(ValueError, match="no manifest of a corpus"):
        [*records.raw_of(corpus)]
    assert not [*records.raw_of(corpus, strict=False)]


def test_parameters_that_are_no_settings():
    params = {"cut": 1, "code": "x", "caption": "y", "packages": {}, "threads": 2, "state": "z"}
    assert settings_of(params) == {"cut": 1}
    assert settings_of(params, "threads") == {"cut": 1, "threads": 2}


def test_no_records_at_all(tmp_path):
    with pytest.raises(LineageError, match="there are no lineage records"):
        read_records(tmp_path)
    write_json(tmp_path / "lineage/history/a.json", {})
    with pytest.raises(LineageError, match="no lineage records in"):
        read_records(tmp_path)
