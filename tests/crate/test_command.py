"""``zsl crate``: what is written for which options, and on the results of mini."""

from __future__ import annotations

import argparse
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from zsl.audit.tree import lineage_of, records_of
from zsl.config.load import load
from zsl.crate.command import add_command, expected_jobs
from zsl.lineage.store import NO_SETTINGS, read_records

ROOT = Path(__file__).parents[2]
MINI = "results/mini"


def crate(*arguments: object) -> str:
    """What the command prints."""
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers())
    options = parser.parse_args(["crate", *map(str, arguments)])
    return options.command(options)


@pytest.fixture
def here(project, rewrite, monkeypatch):
    """The made-up project, with a configuration that is one, as the current folder."""
    shutil.copy(ROOT / "config/config.yaml", project / "config/config.yaml")
    (project / "results/tiny").rename(project / MINI)
    rewrite(project, MINI, lambda text: text.replace("results/tiny", MINI))
    monkeypatch.chdir(project)
    return project


def names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_it_writes_the_experiment_of_the_configuration(here, tmp_path):
    out = tmp_path / "out.zip"
    said = crate(out)
    assert said.endswith(f"{out}: 0.0 MB; unzip it and open ro-crate-preview.html")
    assert said.startswith("6 of 6 jobs did not run with")  # this project has no rules
    assert f"{MINI}/figures/fig01.svg" in names(out)
    metadata = json.loads(zipfile.ZipFile(out).read("ro-crate-metadata.json"))
    (whole,) = (entity for entity in metadata["@graph"] if entity["@id"] == "#run")
    assert "figures/fig02" in whole["description"]  # mini has it, this project does not
    assert "figures/fig01," not in whole["description"]


def test_options_ask_for_bytes(here, tmp_path):
    crate(tmp_path / "heavy.zip", "--checkpoints", "--tokens", "--measurements")
    assert {name.split("/")[2] for name in names(tmp_path / "heavy.zip") if MINI in name} >= {
        "data",
        "training",
        "measurements",
    }
    assert "left-out.sha256" not in names(tmp_path / "heavy.zip")


def test_the_jobs_of_all_targets_are_expected():
    expected = expected_jobs(load([str(ROOT / "config/config.yaml")]))
    assert {"figures/fig05", "tables/table1"} <= set(expected)


@pytest.fixture(scope="module")
def whole() -> None:
    """Skips where the results of mini are not whole."""
    lineage = ROOT / MINI / "lineage"
    expected = expected_jobs(load([str(ROOT / "config/config.yaml")]))
    missing = [name for name in expected if not (lineage / f"{name}.json").is_file()]
    if missing:
        pytest.skip(f"{MINI} is not complete: there is no {missing[0]}")
    if not (lineage / "history").is_dir():
        pytest.skip(f"{MINI} was made before records were kept in lineage/history")


@pytest.fixture(scope="module")
def mini(tmp_path_factory, whole) -> Path:
    """The crate of mini's results."""
    out = tmp_path_factory.mktemp("mini") / "mini.zip"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        crate(out)
    return out


def test_the_crate_of_mini_breaks_no_required_rule(mini, broken_rules):
    assert broken_rules(mini) == set()


def test_the_crate_of_mini_is_complete_and_small(mini):
    metadata = json.loads(zipfile.ZipFile(mini).read("ro-crate-metadata.json"))
    entities = {entity["@id"]: entity for entity in metadata["@graph"]}
    records = [path for path in names(mini) if path.startswith(f"{MINI}/lineage/fits/")]
    assert records
    assert entities["#run"]["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert "not made" not in entities["#run"]["description"]
    assert mini.stat().st_size < 50e6


def test_the_crate_of_mini_names_all_raw_text(mini):
    """As many files as zsl lineage counts."""
    metadata = json.loads(zipfile.ZipFile(mini).read("ro-crate-metadata.json"))
    entities = {entity["@id"]: entity for entity in metadata["@graph"]}
    records = read_records(ROOT / MINI)
    counted = lineage_of(records, records_of("fig03", records, ROOT)).raw
    for reader in ("#job/data/bundled/manifest", "#run"):
        read = [item["@id"] for item in entities[reader]["object"]]
        raw = [entities[id] for id in read if id.startswith("#raw/")]
        assert len(raw) == sum(source.n_files for source in counted)
        assert {s.sha256 for s in counted if s.n_files == 1} <= {r["sha256"] for r in raw}


def test_a_configuration_that_mini_did_not_run_with_is_not_claimed(whole, tmp_path, monkeypatch):
    text = (ROOT / "config/config.yaml").read_text()
    changed = tmp_path / "changed.yaml"
    changed.write_text(text.replace("learning_rate: 1.2e-2", "learning_rate: 7.7e-3"))
    monkeypatch.chdir(ROOT)
    said = crate(tmp_path / "changed.zip", "--configfile", changed)
    metadata = json.loads(zipfile.ZipFile(tmp_path / "changed.zip").read("ro-crate-metadata.json"))
    entities = {entity["@id"]: entity for entity in metadata["@graph"]}
    change = "setting run.optimizer.learning_rate: 0.012 -> 0.0077"
    assert change in said
    assert change in entities["#run"]["description"]
    assert "config/1/changed.yaml" not in {item["@id"] for item in entities["#run"]["object"]}


def test_the_configuration_that_mini_ran_with_is_claimed(mini):
    metadata = json.loads(zipfile.ZipFile(mini).read("ro-crate-metadata.json"))
    entities = {entity["@id"]: entity for entity in metadata["@graph"]}
    assert "config/config.yaml" in {item["@id"] for item in entities["#run"]["object"]}
    assert "did not run with" not in entities["#run"]["description"]
    connected = {id.rsplit("/", 1)[1] for id in entities if id.startswith("#connection/workflow")}
    assert {"run", "threads", "settings", "study"} <= connected
    assert not (NO_SETTINGS.keys() - {"threads"}) & connected
