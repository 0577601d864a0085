"""roc-validator finds nothing wrong at its required level, without a network."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

TOOL = "#rule/fit@0123456789ab"


def test_the_crate_breaks_no_required_rule(crate, broken_rules):
    assert broken_rules(crate.path) == set()


def test_nor_does_one_with_all_bytes(written, project, broken_rules):
    made = written(project, carry=["checkpoints", "measurements", "tokens"])
    assert broken_rules(made.path) == set()


def without(crate, tmp_path, gone: list[tuple[str, list[str]]]) -> Path:
    """The crate without some properties of entities, or without entities as a whole."""
    metadata = crate.metadata
    whole = {id for id, properties in gone if not properties}
    kept = [entity for entity in metadata["@graph"] if entity["@id"] not in whole]
    for entity in kept:
        for id, properties in gone:
            for name in properties if entity["@id"] == id else ():
                del entity[name]
    return with_metadata(crate, tmp_path, {**metadata, "@graph": kept})


def with_metadata(crate, tmp_path, metadata: object) -> Path:
    out = tmp_path / "broken.zip"
    with zipfile.ZipFile(out, "w") as archive:
        for name in crate.names:
            changed = name == "ro-crate-metadata.json"
            archive.writestr(name, json.dumps(metadata) if changed else crate.read(name))
    return out


@pytest.mark.parametrize(
    "wrong",
    [
        [
            ("./", ["license"], "MUST have a `license`"),
            ("Snakefile", ["hasPart"], "MUST refer to orchestrated tools"),
            ("#step/fit", ["workExample"], "HowToStep must refer to its corresponding tool"),
            ("#control/fit", ["object"], "ControlAction must reference the action"),
            ("#engine", ["result"], "OrganizeAction must reference the action"),
            ("#rule/fit/output/json", ["additionalType"], "MUST have an additionalType"),
        ],
        [(TOOL, [], "instrument property that references the executed tool")],
        [("#job/fits/main-1k", [], "must be referred to from an action via instrument")],
        [("./", ["conformsTo"], "permalink of the Provenance Run Crate profile")],
    ],
)
def test_the_validator_sees_what_is_wrong(crate, tmp_path, broken_rules, wrong):
    """What is gone of a crate, by entity, and the rule that it breaks."""
    gone = [(id, properties) for id, properties, _ in wrong]
    assert {id for id, _ in gone} <= set(crate.entities)
    found = broken_rules(without(crate, tmp_path, gone))
    for *_, rule in wrong:
        assert any(rule in message for message in found), (rule, found)


def test_the_validator_sees_a_file_that_is_missing(crate, tmp_path, broken_rules):
    out = tmp_path / "missing.zip"
    with zipfile.ZipFile(out, "w") as archive:
        for name in crate.names:
            if not name.endswith("fig01.svg"):
                archive.writestr(name, crate.read(name))
    assert any("fig01.svg" in message for message in broken_rules(out))
