"""Records that were tampered with: what is seen without a root, and what only a root shows.

Not seen without a root held elsewhere, by design: a consistent rewrite, that is an artifact of
which nothing else was made, its record, and the copy of that record in the history.
"""

from __future__ import annotations

import json
import shutil

import pytest

from zsl.files import sha256

TABLE, TABLE_RECORD = "tables/table1.md", "lineage/tables/table1.json"
FIT, FIT_RECORD = "fits/main-small.json", "lineage/fits/main-small.json"
CURVE_RECORD = "lineage/curves/train_loss/main-small.json"
FIGURE_RECORD, OTHER_RECORD = "lineage/figures/fig02.json", "lineage/figures/fig03.json"
TRAINED = "lineage/training/main-small/00000000-00000016.json"
PAGE = ("provenance/records.sha256", "provenance/root.html")
"""The report's page, which was made from the records of the figures and tables."""
SUFFIXES = ("csv", "html", "md", "tex")


def page_is_stale(said: str) -> dict[tuple[str, str], str]:
    return {(path, "stale"): f"input {said}: was written anew since" for path in PAGE}


def set_seed(content):
    content["params"]["settings"]["seed"] = 99


def test_one_byte_in_a_record(tree):
    tree.replace(TABLE_RECORD, '"threads": 1', '"threads": 3')
    found = {(TABLE_RECORD, "altered"): "edited: params.threads: 1 -> 3"}
    tree.sees(found | page_is_stale(TABLE_RECORD), records=[TABLE_RECORD])


def test_a_record_that_is_no_json_any_more(tree):
    path = tree / TABLE_RECORD
    path.write_bytes(path.read_bytes()[:-3])
    found = {(TABLE_RECORD, "altered"): "is no record that can be read"}
    tree.sees(found | page_is_stale(TABLE_RECORD), records=[TABLE_RECORD])


def test_an_empty_record(tree):
    (tree / FIT_RECORD).write_bytes(b"")
    tree.sees({(FIT_RECORD, "altered"): "is no record"}, records=[FIT_RECORD])


def test_a_record_laid_out_in_another_way(tree):
    content = tree.record(FIT_RECORD)
    (tree / FIT_RECORD).write_text(json.dumps(content))
    words = "its bytes differ, its values do not"
    tree.sees({(FIT_RECORD, "altered"): words}, records=[FIT_RECORD])


def test_a_record_edited_together_with_its_file(tree):
    tree.replace(TABLE, "0", "1")
    tree.cover_up(TABLE, TABLE_RECORD)
    found = {(TABLE_RECORD, "altered"): "edited: outputs", (TABLE, "altered"): "SHA-256"}
    tree.sees(found | page_is_stale(TABLE_RECORD), records=[TABLE_RECORD])


def test_a_consistent_rewrite_of_a_leaf_is_not_seen_without_a_root(tree):
    path, record = "compare/compare.md", "lineage/compare/compare.json"
    with (tree / path).open("a") as file:
        file.write("Everything agrees.\n")
    tree.cover_up(path, record)
    # The report's page names this record as its input, so it is rewritten, too. It is of no root.
    page = "lineage/provenance/root.json"
    tree.rewrite(
        page,
        lambda content: [
            entry.update(sha256=sha256(tree / record))
            for entry in content["inputs"]
            if entry["path"].endswith(record)
        ],
    )
    new = tree.forge(record)
    tree.sees({}, records=[record, new])


def test_a_consistent_rewrite_of_a_table_is_seen_by_the_report_page(tree):
    tree.replace(TABLE, "0", "1")
    tree.cover_up(TABLE, TABLE_RECORD)
    tree.sees(page_is_stale(TABLE_RECORD), records=[TABLE_RECORD, tree.forge(TABLE_RECORD)])


def test_a_consistent_rewrite_of_an_intermediate_is_seen_by_what_read_it(tree):
    tree.replace(FIT, '"T": 32', '"T": 320')
    tree.cover_up(FIT, FIT_RECORD)
    new = tree.forge(FIT_RECORD)
    readers = [f"tables/table1.{suffix}" for suffix in SUFFIXES]
    readers += [f"figures/{f}.{s}" for f in ("fig02", "fig03") for s in ("csv", "md", "pdf", "svg")]
    found = {(path, "stale"): f"input {FIT}: was made anew since" for path in readers}
    found |= {(f"compare/compare.{s}", "stale"): "is stale itself" for s in ("csv", "html", "md")}
    tree.sees(found, records=[FIT_RECORD, new])


def test_a_rewrite_of_an_intermediate_and_its_readers_record(tree):
    """The reader is said to have read the new bytes; the record that it names says others."""
    old = tree.record(FIT_RECORD)["outputs"][0]["sha256"]
    tree.replace(FIT, '"T": 32', '"T": 320')
    tree.cover_up(FIT, FIT_RECORD)

    def change(content):
        for entry in content["inputs"]:
            if entry["sha256"] == old:
                entry["sha256"] = sha256(tree / FIT)

    tree.rewrite(FIGURE_RECORD, change)
    tree.forge(FIT_RECORD)
    tree.forge(FIGURE_RECORD)
    seen = tree.audit()
    said = {f.path: " ".join(f.details) for f in seen.of("altered")}
    words = f"it names a record for its input {FIT} that made other bytes"
    assert words in said[FIGURE_RECORD]


def test_an_edited_seed(tree):
    tree.rewrite(FIT_RECORD, set_seed)
    words = "edited: params.settings.seed: 0 -> 99"
    tree.sees({(FIT_RECORD, "altered"): words}, records=[FIT_RECORD])


def test_an_edited_seed_with_a_forged_history(tree):
    tree.rewrite(FIT_RECORD, set_seed)
    records = [FIT_RECORD, tree.forge(FIT_RECORD)]
    seen = tree.audit(held=tree.held)
    said = {f.path: " ".join(map(str, f.changes)) for f in seen.of("stale")}
    assert "setting settings.seed: 99 -> 0" in said[FIT]
    assert {line.split()[0] for line in seen.root_differences[1:]} == set(records)


def test_a_deleted_record(tree):
    (tree / FIT_RECORD).unlink()
    tree.sees({(FIT_RECORD, "missing"): "the record was deleted"}, records=[FIT_RECORD])


def test_a_deleted_record_with_its_history(tree):
    kept = tree.kept(TABLE_RECORD)
    (tree / TABLE_RECORD).unlink()
    (tree / kept).unlink()
    found = {(f"tables/table1.{s}", "unknown"): "its record is missing" for s in SUFFIXES}
    found |= {(kept, "missing"): "it was deleted; it is the record of tables/table1.csv"}
    tree.sees(found | page_is_stale(TABLE_RECORD), records=[TABLE_RECORD, kept])


def test_a_deleted_artifact_with_its_record(tree):
    (tree / FIT).unlink()
    (tree / FIT_RECORD).unlink()
    found = {(FIT, "missing"): "", (FIT_RECORD, "missing"): "the record was deleted"}
    tree.sees(found, records=[FIT_RECORD])


def test_the_record_of_another_artifact_in_its_place(tree):
    shutil.copyfile(tree / OTHER_RECORD, tree / FIGURE_RECORD)
    found = {(FIGURE_RECORD, "altered"): f"it is a copy of {OTHER_RECORD}"}
    tree.sees(found | page_is_stale(FIGURE_RECORD), records=[FIGURE_RECORD])


def test_an_extra_record(tree):
    extra = "lineage/figures/fig99.json"
    shutil.copyfile(tree / FIGURE_RECORD, tree / extra)
    tree.sees({(extra, "altered"): f"it is a copy of {FIGURE_RECORD}"}, records=[extra])


def test_an_extra_file_among_the_records(tree):
    (tree / "lineage/figures/note.txt").write_text("anything")
    extra = "lineage/figures/note.txt"
    tree.sees({(extra, "unrecorded"): ""}, records=[extra])


def test_an_invented_record_in_the_history(tree):
    extra = f"lineage/history/{'0' * 64}.json"
    shutil.copyfile(tree / FIT_RECORD, tree / extra)
    tree.sees({(extra, "altered"): "its bytes are not those its name gives"}, records=[extra])


@pytest.mark.parametrize("record", [FIT_RECORD, TABLE_RECORD])
def test_an_edited_copy_in_the_history(tree, record):
    kept = tree.kept(record)
    tree.replace(kept, '"threads": 1', '"threads": 3')
    words = "its bytes are not those its name gives"
    tree.sees({(kept, "altered"): words}, records=[kept])


def test_a_damaged_copy_in_the_history(tree):
    kept = tree.kept(FIT_RECORD)
    (tree / kept).write_bytes(b"{")
    tree.sees({(kept, "altered"): "is no record"}, records=[kept])


def test_a_deleted_copy_in_the_history(tree):
    kept = tree.kept(FIT_RECORD)
    (tree / kept).unlink()
    words = f"it was deleted; it is the record of {FIT}"
    tree.sees({(kept, "missing"): words}, records=[kept])


def test_a_deleted_copy_in_the_history_of_what_nothing_was_made_from(tree):
    """Nothing tells such a record from an edited one, so neither it nor its files are believed."""
    record = "lineage/compare/compare.json"
    kept = tree.kept(record)
    (tree / kept).unlink()
    words = "it is none of the records that jobs wrote"
    unknown = {(f"compare/compare.{s}", "unknown"): "its record" for s in ("csv", "html", "md")}
    tree.sees({(record, "altered"): words} | unknown, records=[kept])


def test_the_whole_history_was_deleted(tree):
    shutil.rmtree(tree / "lineage/history")
    seen = tree.audit()
    assert not seen.passed()
    assert {"altered", "missing"} <= {f.status for f in seen.findings}


def test_edited_code_beside_the_records(tree):
    digest = tree.record(FIT_RECORD)["code"]["modules"]["zsl.fits.bnsl"]
    kept = f"lineage/code/{digest}.py"
    with (tree / kept).open("a") as file:
        file.write("\nbreak_point = 3\n")
    words = "it is not the source that its name gives"
    tree.sees({(kept, "altered"): words}, records=[kept])


def test_deleted_code_beside_the_records(tree):
    digest = tree.record(FIT_RECORD)["code"]["modules"]["zsl.fits.bnsl"]
    kept = f"lineage/code/{digest}.py"
    (tree / kept).unlink()
    tree.sees({(kept, "missing"): "the source of a module"}, records=[kept])


def test_an_artifact_replaced_by_an_older_one(tree):
    """What an earlier job made, whose record is in the history, lies where the new one was."""
    genuine = (tree / FIT).read_bytes()
    old = genuine.replace(b'"T": 32', b'"T": 16')
    (tree / FIT).write_bytes(old)
    record = (tree / FIT_RECORD).read_bytes()

    def earlier(content):
        content["time"] = {**content["time"], "end": "2020-01-01T00:00:01.000Z"}
        content["time"]["start"] = "2020-01-01T00:00:00.000Z"

    tree.cover_up(FIT, FIT_RECORD)
    tree.rewrite(FIT_RECORD, earlier)
    before = tree.forge(FIT_RECORD)
    (tree / FIT_RECORD).write_bytes(record)
    tree.sees({(FIT, "altered"): "SHA-256"}, records=[before])


def test_a_clock_set_back(tree):
    """A job that ended before what it read was made."""

    def change(content):
        content["time"]["start"] = content["time"]["end"] = "2020-01-01T00:00:00.000Z"

    tree.rewrite(TABLE_RECORD, change)
    records = [TABLE_RECORD, tree.forge(TABLE_RECORD)]
    said = tree.sees(
        page_is_stale(TABLE_RECORD), checks=["nothing was read before"], records=records
    )
    check = next(c for c in said.checks if c.name.startswith("nothing was read"))
    assert check.said[0].startswith(f"tables/table1 ended before {FIT}, which it read")


def test_times_in_the_wrong_order(tree):
    def change(content):
        time = content["time"]
        time["start"], time["end"] = "2999-01-01T00:00:00.000Z", time["end"]

    tree.rewrite(TABLE_RECORD, change)
    records = [TABLE_RECORD, tree.forge(TABLE_RECORD)]
    tree.sees(page_is_stale(TABLE_RECORD), checks=["nothing was read before"], records=records)


def test_a_record_that_is_a_symlink(tree, tmp_path):
    (tree / FIT_RECORD).rename(tmp_path / "record")
    (tree / FIT_RECORD).symlink_to(tmp_path / "record")
    tree.sees({(FIT_RECORD, "altered"): "is a symbolic link"}, records=[FIT_RECORD])


def test_the_record_of_the_report_page_was_deleted(tree):
    (tree / "lineage/provenance/root.json").unlink()
    tree.sees({(path, "unknown"): "its record is missing" for path in PAGE})


def _without(content, key):
    for holder in [content, *content["inputs"], *content["outputs"]]:
        holder.pop(key, None)


@pytest.mark.parametrize("forged", [False, True])
@pytest.mark.parametrize("key", ["path", "wildcards", "params", "code", "inputs", "sha256"])
def test_a_record_without_a_key_is_found_and_ends_no_audit(tree, key, forged):
    """With a forged copy in the history, it may take the root to see it."""
    tree.rewrite(TRAINED, lambda content: _without(content, key))
    if forged:
        tree.forge(TRAINED)
    assert not tree.audit(held=tree.held).passed()
    assert forged or not tree.audit().passed()


@pytest.mark.parametrize("value", ["[]", "3", "{}", '{"schema": 1, "outputs": 3}', '{"schema": 1}'])
def test_a_file_of_another_form_is_found_and_ends_no_audit(tree, value):
    for path in (TRAINED, tree.kept(TABLE_RECORD), "lineage/accepted/0001.json"):
        (tree / path).parent.mkdir(exist_ok=True)
        (tree / path).write_text(value)
    assert {TRAINED, "lineage/accepted/0001.json"} <= {f.path for f in tree.audit().of("altered")}
