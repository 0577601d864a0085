"""What is in a crate, what is only described, and what is not said at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from zsl.crate.command import HEAVY
from zsl.crate.errors import CrateError
from zsl.crate.run import read_run
from zsl.crate.write import write_crate
from zsl.lineage.errors import LineageError

RESULTS = "results/tiny"
SEGMENT = f"{RESULTS}/training/main-1k/00000000-00000004"
TOKENS = f"{RESULTS}/data/text/tokens"
MEASURED = f"{RESULTS}/measurements/losses/main-1k.h5"
FIT = f"{RESULTS}/fits/main-1k.json"
PREVIEW = "ro-crate-preview.html"
FIGURE = f"{RESULTS}/figures/fig01.svg"


def test_figures_tables_fits_records_and_the_workflow_are_in_it(crate):
    light = [FIT, FIGURE, f"{RESULTS}/figures/fig01.csv", f"{RESULTS}/tables/table1.html"]
    workflow = ["Snakefile", "workflow/rules/all.smk", "config/config.yaml", "requirements.lock"]
    records = [f"{RESULTS}/lineage/{name}.json" for name in ("fits/main-1k", "figures/fig01")]
    pages = ["ro-crate-metadata.json", "ro-crate-preview.html"]
    assert {*light, *workflow, *records, *pages, f"{SEGMENT}.steps.csv"} <= set(crate.names)
    assert f"{RESULTS}/lineage/code/{'a' * 64}.py" in crate.names


def test_what_python_compiled_is_not(crate):
    assert [name for name in crate.names if "__pycache__" in name] == []


def test_every_file_that_is_described_is_there_with_its_bytes(crate):
    names = set(crate.names)
    files = [e for e in crate.entities.values() if "File" in e["@type"] and e["@id"][0] != "#"]
    assert len(files) > 15
    for entity in files:
        assert entity["@id"] in names
        content = crate.read(entity["@id"])
        assert hashlib.sha256(content).hexdigest() == entity["sha256"]
        assert str(len(content)) == entity["contentSize"]


def test_every_file_in_it_is_described(crate):
    described = {id for id in crate.entities if not id.startswith("#")}
    folders = tuple(id for id in described if id.endswith("/") and id != "./")
    loose = {name for name in crate.names if name not in described and not name.startswith(folders)}
    assert loose == set()


def test_heavy_artifacts_are_described_by_size_and_digest_alone(crate):
    for path in (SEGMENT, TOKENS, MEASURED):
        assert [name for name in crate.names if name.startswith(f"{path}/") or name == path] == []
        entity = crate.entities[f"#{path}"]
        assert len(entity["sha256"]) == 64
        assert int(entity["contentSize"]) > 0
        assert "Not in this crate" in entity["description"]


def test_sha256sum_checks_what_was_left_out(crate, project):
    (project / "left-out.sha256").write_bytes(crate.read("left-out.sha256"))
    command = ["sha256sum", "--check", "left-out.sha256"]
    checked = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert len(checked.stdout.splitlines()) == 5
    (project / SEGMENT / "step0/model.safetensors").write_text("other")
    assert subprocess.run(command, cwd=project, capture_output=True).returncode == 1


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("checkpoints", f"{SEGMENT}/step4/model.safetensors"),
        ("tokens", f"{TOKENS}/train-0.bin"),
        ("measurements", MEASURED),
    ],
)
def test_bytes_that_are_asked_for_are_in_it(written, project, kind, path):
    made = written(project, carry=[kind])
    assert made.read(path) == (project / path).read_bytes()
    assert path not in made.read("left-out.sha256").decode()


def test_with_everything_asked_for_nothing_is_left_out(written, project):
    made = written(project, carry=HEAVY)
    assert "left-out.sha256" not in made.names
    assert "left-out" not in made.read(PREVIEW).decode()


def test_equal_results_give_equal_bytes(crate, written, project):
    shutil.move(project, project.with_name("elsewhere"))
    assert written(project.with_name("elsewhere")).path.read_bytes() == crate.path.read_bytes()


def test_neither_the_hour_nor_the_order_of_sets_shows(crate, project, tmp_path):
    for seed in ("1", "2"):
        out = tmp_path / f"{seed}.zip"
        code = (
            "from pathlib import Path; from zsl.crate.run import read_run; "
            "from zsl.crate.write import write_crate; "
            f"write_crate(Path({str(out)!r}), read_run('results/tiny', "
            "expected=['figures/fig01'], configfiles=[Path('config/config.yaml')]))"
        )
        command = [sys.executable, "-c", code]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(command, cwd=project, env=environment, check=True)
        assert out.read_bytes() == crate.path.read_bytes()
    with zipfile.ZipFile(crate.path) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_crate_is_dated_by_the_last_job(crate):
    assert crate.entities["./"]["datePublished"] == "2026-01-01T00:00:51.500+00:00"


def test_nobody_is_named_who_is_not_known(crate):
    people = {
        e["name"] for e in crate.entities.values() if e["@type"] in ("Person", "Organization")
    }
    assert people == {"Its authors"}  # of the workflow, from CITATION.cff
    assert not any("agent" in entity for entity in crate.entities.values())
    assert not {"author", "creator", "publisher"} & set(crate.entities["./"])


def test_no_path_of_this_machine(written, project):
    made = written(project, configfiles=[project / "config/config.yaml"])
    assert "config/1/config.yaml" in made.names
    for name in ("ro-crate-metadata.json", "ro-crate-preview.html", "left-out.sha256"):
        assert str(project) not in made.read(name).decode()


def test_a_file_that_changed_since_its_job_is_an_error(written, project):
    (project / FIT).write_text("edited")
    with pytest.raises(CrateError, match=FIT):
        written(project)


def test_a_deleted_intermediate_is_only_described(written, project):
    (project / FIT).unlink()
    made = written(project)
    assert FIT not in made.names
    assert f"#{FIT}" in made.entities


@pytest.mark.parametrize("name", ["README.md", "", "fig01.pdf", "folder.zip", "text.zip"])
def test_nothing_but_a_zip_is_replaced(project, monkeypatch, name):
    monkeypatch.chdir(project)
    (project / "folder.zip").mkdir()
    for path in ("README.md", "text.zip"):
        (project / path).write_text("precious")
    with pytest.raises(CrateError, match=r"no name for a crate|no zip that may be replaced"):
        write_crate(Path(name), read_run(RESULTS))
    assert (project / "README.md").read_text() == (project / "text.zip").read_text() == "precious"
    assert not (project / "fig01.pdf").exists()


def test_a_crate_replaces_a_crate(written, project):
    made = written(project)
    write_crate(made.path, read_run(RESULTS, project))
    assert "config/config.yaml" not in made.names


@pytest.mark.parametrize("out", ["none/out.zip", "/proc/out.zip", f"{'x' * 300}.zip"])
def test_a_place_that_cannot_be_written_is_an_error(project, monkeypatch, out):
    monkeypatch.chdir(project)
    with pytest.raises(CrateError, match="cannot be written"):
        write_crate(Path(out), read_run(RESULTS))
    assert not (project / "none").exists()


def test_results_without_records_are_an_error(written, project):
    shutil.rmtree(project / RESULTS / "lineage")
    with pytest.raises(LineageError, match="no lineage records to audit; run the workflow"):
        written(project)


def test_a_file_that_is_no_record_is_an_error(written, project):
    (project / RESULTS / "lineage/fits/main-1k.json").write_text("{}")
    with pytest.raises(CrateError, match=r"fits/main-1k.json is no record .* it lacks schema"):
        written(project)


@pytest.mark.parametrize("name", ["figures/fig01", "fits/main-1k"])
def test_a_record_that_no_job_wrote_is_an_error(written, project, name):
    path = project / RESULTS / f"lineage/{name}.json"
    path.write_text(path.read_text().replace('"start": "2026-', '"start": "1999-'))
    with pytest.raises(CrateError, match=rf"{name}.json is none of the records.*`zsl audit`"):
        written(project)


def test_a_copy_of_another_record_is_an_error(written, project):
    lineage = project / RESULTS / "lineage"
    shutil.copyfile(lineage / "fits/main-1k.json", lineage / "fits/main-2k.json")
    with pytest.raises(CrateError, match=r"main-2k.json is none of the records"):
        written(project)


def test_another_folder_is_an_error(written, project):
    (project / "Snakefile").unlink()
    with pytest.raises(CrateError, match="no Snakefile here"):
        written(project)


def test_a_part_of_an_experiment_says_so_and_is_no_failure(written, project, broken_rules):
    made = written(project, expected=["figures/fig01", "figures/fig02", "tables/table2"])
    whole = made.entities["#run"]
    assert not {"actionStatus", "error"} & set(whole)
    said = (
        "1 of the 3 figures and tables of the configuration were made; not made: figures/fig02, "
        "tables/table2."
    )
    assert said in whole["description"]
    assert said in made.entities["./"]["description"]
    assert said in made.read(PREVIEW).decode()
    assert broken_rules(made.path) == set()


@pytest.mark.parametrize("path", [FIGURE, f"{RESULTS}/tables/table1.html"])
def test_the_page_shows_no_figure_or_table_that_is_gone(written, project, path):
    assert f'{path}"' in written(project).read(PREVIEW).decode()
    (project / path).unlink()
    assert f'{path}"' not in written(project).read(PREVIEW).decode()


def test_a_figure_made_from_an_earlier_fit_shows_that_fit(written, project, record):
    (project / FIT).write_text("another fit")
    record(project, "fit", "fits/main-1k", [], 30)
    made = written(project)
    read = {item["@id"] for item in made.entities["#job/figures/fig01"]["object"]}
    (earlier,) = (id for id in read if FIT in id)
    assert earlier != FIT
    assert "wrote something else since" in made.entities[earlier]["description"]
    assert made.entities["#job/fits/main-1k"]["result"] == {"@id": FIT}
    # It is a result of the workflow's own, not something given to it.
    assert earlier not in json.dumps(made.entities["#run"]["object"])


def test_records_that_say_little_are_enough(written, project, rewrite, broken_rules):
    """Old records lack keys; a machine without git or a lock has fewer facts."""

    def shortened(text: str) -> str:
        value = json.loads(text)
        kept = ("schema", "rule", "inputs", "outputs", "time")
        return json.dumps({key: value[key] for key in kept})

    rewrite(project, RESULTS, shortened)
    for name in ("requirements.lock", "CITATION.cff", "envs/container.def"):
        (project / name).unlink()
    made = written(project)
    tool = made.entities["#job/fits/main-1k"]["instrument"]["@id"]
    assert "softwareVersion" not in made.entities[tool]
    assert "0123456789ab" not in json.dumps(made.metadata)
    assert broken_rules(made.path) == set()


def test_the_page_shows_each_figure_with_its_caption_and_needs_no_network(crate):
    page = crate.read("ro-crate-preview.html").decode()
    caption = crate.read(f"{RESULTS}/figures/fig01.md").decode()
    assert f'src="{RESULTS}/figures/fig01.svg"' in page
    assert caption in page
    assert f'href="{RESULTS}/tables/table1.html"' in page
    assert "http" not in page.replace("https://w3id.org", "")


def test_the_page_shows_figures_in_the_order_of_the_targets(written, project, record):
    for name in ("fig02", "breakdown"):
        files = {suffix: f"{RESULTS}/figures/{name}.{suffix}" for suffix in ("svg", "md")}
        for path in files.values():
            (project / path).write_text(name)
        record(project, "figure", f"figures/{name}", [], 41, outputs=[*files.values()])
    page = written(project, expected=["figures/fig01", "figures/fig02"]).read(PREVIEW).decode()
    places = [page.index(f'<figure id="{name}">') for name in ("fig01", "fig02", "breakdown")]
    assert places == sorted(places)


def test_the_root_digest_of_the_report_is_in_it(written, project):
    folder = project / RESULTS / "provenance"
    folder.mkdir()
    (folder / "root.html").write_text("digest")
    made = written(project)
    assert made.read(f"{RESULTS}/provenance/root.html") == b"digest"
    assert f'href="{RESULTS}/provenance/root.html"' in made.read(PREVIEW).decode()


def test_versions_with_changes_are_told_from_those_without(written, project, record):
    git = {"commit": "f" * 40, "dirty": True}
    record(project, "fit", "fits/main-1k", [], 30, git=git)
    made = written(project)
    tool = made.entities[made.entities["#job/fits/main-1k"]["instrument"]["@id"]]
    assert tool["softwareVersion"] == "f" * 40 + "-dirty"
