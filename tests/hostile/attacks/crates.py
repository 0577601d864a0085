"""Results of others, packed into a crate that is handed on."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import small_records

from attacks import add, row
from attacks.records_files import FIT, RECORDS, Change, change_record, made, of_key

KIND = "crates"


def laid(project: Path) -> Path:
    """A project with a small experiment of records."""
    (project / "Snakefile").write_text("rule all:\n    input: []\n")
    (project / "config.yaml").write_text("experiment: small\n")
    return made(project)


def packed(project: Path) -> zipfile.ZipFile:
    from zsl.crate.write import write_crate

    out = project / "results" / "state.zip"
    write_crate(out, "results/small", configfiles=[Path("config.yaml")], root=Path())
    return zipfile.ZipFile(out)


def of_record(change: Change, project: Path) -> Iterator[None]:
    """A crate of results of which a record is otherwise."""
    change_record(laid(project) / FIT, change)
    yield
    packed(project)


NONE = f"results/small/{FIT} is no lineage record"
for name in (
    "an output that leads out of the results",
    "an output with an absolute path",
    "an input that leads out of the results",
    "an input with a path of Windows",
    "a folder with files that lead out of it",
    "a rule that is a command",
    "a size that is text",
    "times that are none",
    "parameters that are a list",
):
    add(KIND, name, partial(of_record, RECORDS[name][0]), NONE)
add(KIND, "a record with NaN", partial(of_record, of_key(params={"a": float("nan")})), NONE)


def of_bytes(data: bytes, project: Path) -> Iterator[None]:
    (laid(project) / FIT).write_bytes(data)
    yield
    packed(project)


for name, data in {
    "a record nested 100,000 deep": b"[" * 100_000,
    "a record that is a list": b"[]",
    "a record that is text": b'"rule outputs time"',
    "a record that is no JSON": b"\x80\x04\x95cposix\nsystem\n",
}.items():
    add(KIND, name, partial(of_bytes, data), NONE)


@row(KIND, "an artifact that was changed after its job", "not what their lineage records say")
def altered(project: Path) -> Iterator[None]:
    (laid(project) / "fits/main-1k.json").write_text("{}")
    yield
    packed(project)


LINKS: dict[str, Callable[[Path], Path]] = {
    "a link among the kept records to a secret": lambda results: results / "lineage/history/x.json",
    "a link among the kept sources to a secret": lambda results: results / "lineage/code/x.py",
    "a link beside the root digest to a secret": lambda results: results / "provenance/x.html",
    "a link for a figure's caption to a secret": lambda results: results / "figures/fig03.md",
    "a link in the workflow to a secret": lambda results: results.parents[1] / "workflow/x.txt",
}


def of_link(place: Callable[[Path], Path], project: Path) -> Iterator[None]:
    """A crate in which the secret would be, were the link followed."""
    link = place(laid(project))
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(project.parent / "outside" / "secret.txt")
    yield
    with packed(project) as archive:
        assert all(b"a secret" not in archive.read(name) for name in archive.namelist())


for name, place in LINKS.items():
    add(KIND, name, partial(of_link, place), None)


@row(KIND, "names of markup and paths in a crate, which are only names", None)
def names(project: Path) -> Iterator[None]:
    results = laid(project)
    markup = "<script>alert(1)</script>"
    change_record(results / FIT, of_key(params={markup: f'"{markup}"', "seed": 1}))
    yield
    with packed(project) as archive:
        listed = archive.namelist()
        page = archive.read("ro-crate-preview.html").decode()
    assert markup not in page
    for name in listed:
        assert not name.startswith("/") and ".." not in name.split("/") and "\\" not in name


@row(KIND, "a pipe for an artifact", "no plain file")
def pipe(project: Path) -> Iterator[None]:
    path = laid(project) / "fits/main-1k.json"
    path.unlink()
    os.mkfifo(path)
    yield
    packed(project)


@row(
    KIND, "records that name an artifact twice, with other bytes", "not what their lineage records"
)
def twice(project: Path) -> Iterator[None]:
    results = laid(project)

    def change(content: dict[str, Any]) -> None:
        (output,) = content["outputs"]
        content["outputs"] = [output, {**output, "sha256": small_records.digest("other")}]

    change_record(results / FIT, change)
    assert len(json.loads((results / FIT).read_text())["outputs"]) == 2
    yield
    packed(project)
