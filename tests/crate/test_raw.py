"""Raw sources that a job read and that no rule declares."""

from __future__ import annotations

import json

import pytest

from zsl.crate.errors import CrateError

RESULTS = "results/tiny"
MANIFEST = f"{RESULTS}/data/text/manifest.json"
SOURCE = {"origin": "a package 1.0: tasks/piqa.arrow", "sha256": "f" * 64}


def read_by(made, name: str) -> list[str]:
    """Identifiers of the raw sources among what an action read."""
    found = made.entities[name].get("object", [])
    ids = [item["@id"] for item in (found if isinstance(found, list) else [found])]
    return [id for id in ids if id.startswith("#raw/")]


def test_files_of_packages_that_a_job_read_are_named(written, project, record):
    record(project, "fit", "fits/main-1k", [], 30, facts={"sources": [SOURCE]})
    made = written(project)
    (id,) = read_by(made, "#job/fits/main-1k")
    assert made.entities[id]["name"] == SOURCE["origin"]
    assert made.entities[id]["sha256"] == SOURCE["sha256"]
    assert "contentSize" not in made.entities[id]
    assert id in read_by(made, "#run")


def test_what_was_downloaded_is_named(written, project, record):
    params = {"source": {"url": "https://example.org/curves.json", "sha256": None}}
    record(project, "fit", "fits/main-1k", [], 30, params=params)
    made = written(project)
    (id,) = read_by(made, "#job/fits/main-1k")
    assert made.entities[id]["name"] == "https://example.org/curves.json"
    assert made.entities[id]["sha256"] == made.entities[f"{RESULTS}/fits/main-1k.json"]["sha256"]


def test_text_that_is_an_input_is_one_entity(written, project, record):
    (project / "text.txt").write_text("text")
    path = record(project, "tokens", "data/text/manifest", [(None, "text.txt")], 0)
    digest = json.loads(path.read_text())["inputs"][0]["sha256"]
    text = {"files": [{"origin": "text.txt", "sha256": digest}]}
    (project / MANIFEST).write_text(json.dumps({"sources": [text]}))
    record(project, "tokens", "data/text/manifest", [(None, "text.txt")], 0)
    made = written(project)
    assert read_by(made, "#job/data/text/manifest") == []
    assert [id for id, e in made.entities.items() if e.get("sha256") == digest] == [
        f"#text.txt@{digest[:12]}"
    ]


def test_a_manifest_that_is_gone_says_nothing(written, project):
    (project / MANIFEST).unlink()
    assert read_by(written(project), "#job/data/text/manifest") == []


def test_a_manifest_that_is_none_is_an_error(written, project, record):
    (project / MANIFEST).write_text(json.dumps({"sources": 1}))
    record(project, "tokens", "data/text/manifest", [], 0)
    with pytest.raises(CrateError, match="no manifest of a corpus"):
        written(project)
