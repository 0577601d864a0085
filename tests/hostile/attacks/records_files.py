"""Lineage records, their history, and what lies beside them, as audits and questions read them."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import small_records

from attacks import Refused, row, rows, zsl

KIND = "lineage records"
OUTSIDE = "results/small/../../../outside/secret.txt"
FIT = "lineage/fits/main-1k.json"
Change = Callable[[dict[str, Any]], object]


def audited(results: Path) -> None:
    zsl("audit", "--results", results)


def made(project: Path) -> Path:
    return small_records.experiment(project / "results" / "small")


def change_record(path: Path, change: Change) -> None:
    """Change a record, and keep it in the history as if a job had written it so."""
    content = json.loads(path.read_text())
    change(content)
    text = json.dumps(content)
    path.write_text(text)
    folder = next(parent for parent in path.parents if parent.name == "lineage")
    (folder / "history" / f"{small_records.digest(text)}.json").write_text(text)


def of_record(change: Change, project: Path) -> Iterator[None]:
    """A record that is otherwise."""
    results = made(project)
    change_record(results / FIT, change)
    yield
    audited(results)


def of_entry(name: str, **values: Any) -> Change:
    """An input or output of a record with other values."""

    def change(content: dict[str, Any]) -> None:
        content[name][0] |= values

    return change


def of_key(**values: Any) -> Change:
    return lambda content: content.update(copy.deepcopy(values))


NONE = "is no record that can be read: "
IN, OUT = NONE + "inputs.0.", NONE + "outputs.0."
MODULES = {"script": "x.py", "fingerprint": "0" * 64}
SOURCE = {"origin": "a", "sha256": "0" * 64}
RECORDS: dict[str, tuple[Change, str]] = {
    "an output that leads out of the results": (of_entry("outputs", path=OUTSIDE), OUT + "path"),
    "an input with a NUL and a line end": (of_entry("inputs", path="a\0b\n"), IN + "path"),
    "a digest that is a path": (of_entry("outputs", sha256="../../../x"), OUT + "sha256"),
    "a folder with files that lead out of it": (
        of_entry("outputs", kind="folder", files={"../../../../outside/secret.txt": "0" * 64}),
        OUT + "files.",
    ),
    "a rule that is an option of Snakemake's": (of_key(rule="--config"), NONE + "rule is"),
    "a rule that is a command": (of_key(rule="fit; touch executed"), NONE + "rule is"),
    "a wildcard that leads out of the results": (
        of_key(rule="tokens", wildcards={"corpus": "../../../outside"}),
        NONE + "wildcards.corpus is",
    ),
    "a module that leads out of the project": (
        of_key(code={**MODULES, "modules": {"../../outside/secret.txt": "0" * 64}}),
        NONE + "code.modules.",
    ),
    "parameters that are a list": (of_key(params=[1]), NONE + "params is"),
}
rows(KIND, of_record, RECORDS)


def of_file(name: str, spoil: Callable[[Path], object], project: Path) -> Iterator[None]:
    """A file of the results, or a new one, that is something else."""
    results = made(project)
    path = results / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    spoil(path)
    yield
    audited(results)


def text(content: str | bytes) -> Callable[[Path], object]:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


SOURCE_OF_NONE = "it is not the source that its name gives"
FILES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "JSON nested 100,000 deep": (FIT, text("[" * 100_000), NONE),
    "a record that is a link to a device": (FIT, lambda path: path.symlink_to("/dev/zero"), FIT),
    "a record that is a pipe": (FIT, os.mkfifo, NONE),
    "a kept source that would run": (
        f"lineage/code/{'0' * 64}.py",
        text("import os\nos.system('touch ../outside/executed')\n"),
        SOURCE_OF_NONE,
    ),
    "an artifact that is a pipe": ("fits/main-1k.json", os.mkfifo, "fits/main-1k.json"),
    "an artifact that is a link out of the results": (
        "fits/main-1k.json",
        lambda path: path.symlink_to("../../../../outside/secret.txt"),
        "is a symbolic link to",
    ),
    "a file named as commands": (
        "fits/$(touch executed); `touch executed` -rf",
        text(""),
        "rm '",
    ),
    "a file named as an escape sequence of a terminal": (
        "fits/\x1b[2Jboo",
        text(""),
        "\\u001b[2Jboo",
    ),
}
rows(KIND, of_file, FILES)


@row(KIND, "sources that lead out of the project and out of packages", None)
def sources(project: Path) -> Iterator[None]:
    packaged = f"pytest {metadata.version('pytest')}: {'../' * 30}etc/passwd"
    origins = ["../outside/secret.txt", "/etc/passwd", packaged]
    files = [{**SOURCE, "origin": origin} for origin in origins]
    results = made(project)
    change_record(results / FIT, of_key(facts={"sources": files}))
    yield
    try:
        found = zsl("audit", "--json", "--results", results)
    except Refused as error:
        found = str(error)
    seen = [f for f in json.loads(found)["findings"] if f["path"] in origins]
    assert len(seen) == len(origins)
    assert all("not hashed again" in " ".join(finding["details"]) for finding in seen)


@row(KIND, "a rule that is an option of Snakemake's, to be made again", "no record is of it")
def reproduced(project: Path) -> Iterator[None]:
    """What ``zsl reproduce`` would link, and run, by a record."""
    from attacks.configs import valid

    results = made(project)
    change_record(results / FIT, RECORDS["a rule that is an option of Snakemake's"][0])
    (project / "Snakefile").write_text("rule all:\n    input: []\n")
    (project / "config").mkdir()
    (project / "config/config.yaml").write_text(json.dumps(valid()))
    yield
    zsl("reproduce", "fits/main-1k.json")
