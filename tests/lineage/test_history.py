"""The chain of records, what is kept of it, and its root."""

from __future__ import annotations

import json
import subprocess
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.iocontainers import InputFiles, OutputFiles, Params, Wildcards

from zsl.errors import ZslError
from zsl.lineage import history
from zsl.lineage.errors import LineageError
from zsl.lineage.record import recorded
from zsl.lineage.root import listing, page, read_listing, record_digests, root_of

SCRIPT = "workflow/scripts/make.py"
RESULTS = "results/mini"
FOLDER = Path(f"{RESULTS}/lineage")


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "workflow/scripts").mkdir(parents=True)
    (tmp_path / SCRIPT).write_text("A = 1  # one\n")
    (tmp_path / "requirements.lock").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(root, inputs, outputs, record, text="{}"):
    """Run a job that writes ``text`` to its outputs; its record."""
    job = SimpleNamespace(
        rule="make",
        input=InputFiles(fromdict=inputs),
        output=OutputFiles(fromdict={**outputs, "lineage": f"{FOLDER}/{record}"}),
        params=Params(fromdict={}),
        wildcards=Wildcards(fromdict={}),
        threads=1,
    )
    with recorded(job, root / SCRIPT, root=root):
        for path in outputs.values():
            if path.endswith("/"):
                Path(path).mkdir(parents=True, exist_ok=True)
                path = f"{path}file"
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text)
    return json.loads((FOLDER / record).read_text())


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def chain(root):
    """A corpus, a run, its curve and a figure, each made from the one before."""
    made = {}
    start = f"{RESULTS}/"
    corpus = {"manifest": f"{start}data/c/manifest.json", "tokens": f"{start}data/c/tokens/"}
    made["data/c/manifest.json"] = make(root, {}, corpus, "data/c/manifest.json")
    run = f"{start}training/main-a/00000000-00000008"
    trained = {"folder": f"{run}/", "manifest": f"{run}.manifest.json", "steps": f"{run}.steps.csv"}
    record = "training/main-a/00000000-00000008.json"
    tokens = {"tokens": corpus["manifest"], "files": corpus["tokens"].rstrip("/")}
    made[record] = make(root, tokens, trained, record)
    curve = {"curve": f"{start}curves/loss/main-a.1.csv"}
    made["curves/loss/main-a.1.json"] = make(
        root, {**trained, "folder": run}, curve, "curves/loss/main-a.1.json"
    )
    figure = {"pdf": f"{start}figures/fig01.pdf", "caption": f"{start}figures/fig01.md"}
    made["figures/fig01.json"] = make(root, curve, figure, "figures/fig01.json")
    return made


def test_a_record_names_the_records_of_its_inputs_makers(project):
    made = chain(project)
    for record, before in {
        "training/main-a/00000000-00000008.json": "data/c/manifest.json",
        "curves/loss/main-a.1.json": "training/main-a/00000000-00000008.json",
        "figures/fig01.json": "curves/loss/main-a.1.json",
    }.items():
        named = {entry.get("record") for entry in made[record]["inputs"]}
        assert named == {digest(FOLDER / before)}, record
    assert made["data/c/manifest.json"]["inputs"] == []
    assert made["figures/fig01.json"]["path"] == f"{FOLDER}/figures/fig01.json"


def test_a_file_that_no_job_made_has_no_maker(project):
    chain(project)
    Path("notes.txt").write_text("mine")
    Path(f"{RESULTS}/figures/fig02.pdf").write_text("stray")
    for path in ("notes.txt", f"{RESULTS}/figures/fig02.pdf"):
        assert history.made(Path(path), FOLDER) is None
    # A record that lies where one would look, but is of another file.
    Path(f"{RESULTS}/figures/fig01.txt").write_text("stray")
    assert history.made(Path(f"{RESULTS}/figures/fig01.txt"), FOLDER) is None


def test_every_record_and_source_is_kept(project):
    chain(project)
    kept = {path.stem: digest(path) for path in (FOLDER / "history").iterdir()}
    current = {digest(path) for path in FOLDER.rglob("*.json") if "history" not in path.parts}
    assert set(kept) == current and len(current) == 4
    assert all(name == found for name, found in kept.items())
    (source,) = (FOLDER / "code").iterdir()
    code = json.loads((FOLDER / "figures/fig01.json").read_text())["code"]
    assert source.name == f"{code['modules'][SCRIPT]}.py"
    assert source.read_text() == "A = 1  # one\n"


def test_a_rerun_leaves_the_earlier_record_where_it_can_be_followed(project):
    chain(project)
    figure = json.loads((FOLDER / "figures/fig01.json").read_text())
    curve = {"curve": f"{RESULTS}/curves/loss/main-a.1.csv"}
    make(project, {}, curve, "curves/loss/main-a.1.json")
    (named,) = {entry["record"] for entry in figure["inputs"]}
    assert named != digest(FOLDER / "curves/loss/main-a.1.json")
    assert digest(FOLDER / "history" / f"{named}.json") == named


def test_the_reports_record_is_not_part_of_the_history(project):
    chain(project)
    before = root_of(record_digests(FOLDER))
    records = {"figure": f"{FOLDER}/figures/fig01.json"}
    make(project, records, {"page": f"{RESULTS}/provenance/root.html"}, "provenance/root.json")
    assert root_of(record_digests(FOLDER)) == before


def test_a_record_outside_of_a_lineage_folder_is_refused():
    with pytest.raises(LineageError, match="not below a folder lineage"):
        history.lineage_folder(Path("results/mini/records/a.json"))


def test_the_root_is_what_sha256sum_says_and_the_listing_what_it_reads(project):
    chain(project)
    (FOLDER / ".half-written.json").write_text("{")
    command = (
        "find . -type f ! -path './provenance/*' ! -name '.*' -printf '%P\\0' "
        "| LC_ALL=C sort -z | xargs -0 sha256sum"
    )
    shown = subprocess.run(["bash", "-c", command], cwd=FOLDER, capture_output=True, text=True)
    digests = record_digests(FOLDER)
    assert listing(digests) == shown.stdout
    assert root_of(digests) == sha256(shown.stdout.encode()).hexdigest()
    assert read_listing(shown.stdout, "kept") == digests
    assert root_of(digests) in page("mini", digests)


@pytest.mark.parametrize("change", ["edited", "deleted", "added", "renamed"])
def test_any_change_of_a_record_is_another_root(project, change):
    chain(project)
    before = root_of(record_digests(FOLDER))
    path = FOLDER / "figures/fig01.json"
    if change == "edited":
        path.write_text(path.read_text().replace("make", "made"))
    elif change == "deleted":
        path.unlink()
    elif change == "added":
        path.with_name("fig02.json").write_text("{}")
    else:
        path.rename(path.with_name("fig02.json"))
    assert root_of(record_digests(FOLDER)) != before


def test_a_listing_of_another_form_is_refused():
    with pytest.raises(ZslError, match="kept, line 2: no line of sha256sum"):
        read_listing(f"{'0' * 64}  a.json\n{'0' * 63}  b.json\n", "kept")
