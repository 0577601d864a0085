"""Lineage records, their history, and what lies beside them, as audits and questions read them."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import small_records

from attacks import Refused, add, row, zsl

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
    "an output with an absolute path": (of_entry("outputs", path="/etc/passwd"), OUT + "path"),
    "an input that leads out of the results": (of_entry("inputs", path=OUTSIDE), IN + "path"),
    "an input with a NUL in its path": (of_entry("inputs", path="a\0b"), IN + "path"),
    "an input with a line end in its path": (of_entry("inputs", path="a\nb"), IN + "path"),
    "an input with a path of Windows": (of_entry("inputs", path="..\\..\\x"), IN + "path"),
    "an input with a path of a megabyte": (of_entry("inputs", path="x" * 10**6), IN + "path"),
    "a path that is a list": (of_entry("inputs", path=["a"]), IN + "path"),
    "a size that is text": (of_entry("outputs", size="4"), OUT + "size"),
    "a size that is NaN": (of_entry("outputs", size=1e99), OUT + "size"),
    "a kind that is none": (of_entry("outputs", kind="device"), OUT + "kind"),
    "a digest that is a path": (of_entry("outputs", sha256="../../../x"), OUT + "sha256"),
    "the digest of a record that is a path": (of_entry("inputs", record="../x"), IN + "record"),
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
    "a wildcard that is a number": (of_key(wildcards={"run": 1}), NONE + "wildcards.run is"),
    "a module that leads out of the project": (
        of_key(code={**MODULES, "modules": {"../../outside/secret.txt": "0" * 64}}),
        NONE + "code.modules.",
    ),
    "a digest of a module that is a path": (
        of_key(code={**MODULES, "modules": {"zsl.model": "../../../../outside/secret"}}),
        NONE + "code.modules.zsl.model is",
    ),
    "a source that is no text": (
        of_key(facts={"sources": [{**SOURCE, "origin": 1}]}),
        NONE + "facts.sources.0.origin is",
    ),
    "a source with another digest than digests are": (
        of_key(facts={"sources": [{**SOURCE, "sha256": "x"}]}),
        NONE + "facts.sources.0.sha256 is",
    ),
    "a path of the record that leads out": (
        of_key(path="../../x/lineage/a.json"),
        NONE + "path is",
    ),
    "times that are none": (of_key(time={"start": "now", "end": "later"}), NONE),
    "parameters that are a list": (of_key(params=[1]), NONE + "params is"),
    "no inputs": (lambda content: content.pop("inputs"), NONE + "it lacks inputs"),
}
for name, (change, says) in RECORDS.items():
    add(KIND, name, partial(of_record, change), says)


def of_file(name: str, spoil: Callable[[Path], object], project: Path) -> Iterator[None]:
    """A file of the results, or a new one, that is something else."""
    results = made(project)
    path = results / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    spoil(path)
    yield
    audited(results)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 << 20)


def text(content: str | bytes) -> Callable[[Path], object]:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


FILES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "JSON nested 100,000 deep": (FIT, text("[" * 100_000), NONE),
    "a record that is a list": (FIT, text("[]"), NONE + "it is []"),
    "a record of 100 MiB": (FIT, sparse, NONE),
    "a record that is a link to a device": (FIT, lambda path: path.symlink_to("/dev/zero"), FIT),
    "a record that is a pipe": (FIT, os.mkfifo, NONE),
    "a record that is a folder": (FIT, Path.mkdir, FIT),
    "a pickle": (FIT, text(b"\x80\x04\x95cposix\nsystem\n"), NONE),
    "a kept record that is a bomb": (
        f"lineage/history/{'0' * 64}.json",
        text("[" * 100_000),
        f"lineage/history/{'0' * 64}.json",
    ),
    "a kept source nested too deeply": (
        f"lineage/code/{'0' * 64}.py",
        text("x = " + "-" * 100_000 + "1"),
        "it is not the source that its name gives",
    ),
    "a kept source of 100,000 brackets": (
        f"lineage/code/{'0' * 64}.py",
        text("(" * 100_000),
        "it is not the source that its name gives",
    ),
    "a kept source that would run": (
        f"lineage/code/{'0' * 64}.py",
        text("import os\nos.system('touch ../outside/executed')\n"),
        "it is not the source that its name gives",
    ),
    "an acceptance that is a list": ("lineage/accepted/0001.json", text("[]"), NONE),
    "an acceptance of nothing": ("lineage/accepted/0001.json", text('{"schema": 1}'), NONE),
    "an artifact that is a pipe": ("fits/main-1k.json", os.mkfifo, "fits/main-1k.json"),
    "an artifact that is a link to a device": (
        "fits/main-1k.json",
        lambda path: path.symlink_to("/dev/zero"),
        "is a symbolic link to /dev/zero",
    ),
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
for name, (path, spoil, says) in FILES.items():
    add(KIND, name, partial(of_file, path, spoil), says)


def of_manifest(content: Any, project: Path) -> Iterator[None]:
    """A manifest of a corpus as the record of its job has it."""
    results = made(project)
    path = results / "data/c/manifest.json"
    path.write_text(data := content if isinstance(content, str) else json.dumps(content))
    record = results / "lineage/data/c/manifest.json"

    def change(values: dict[str, Any]) -> None:
        for entry in values["outputs"]:
            if entry["path"].endswith("manifest.json"):
                entry |= {"sha256": small_records.digest(data), "size": len(data)}

    change_record(record, change)
    yield
    lineage(results)


def lineage(results: Path) -> None:
    for kind in ("text", "mermaid", "dot", "json"):
        zsl("lineage", "data/c/manifest.json", "--format", kind, "--results", results)


for name, content in {
    "nested 100,000 deep": "[" * 100_000,
    "that is a list": [],
    "of sources that are text": {"sources": ["a"]},
    "of files that are numbers": {"sources": [{"origin": "a", "files": [1]}]},
    "of a file without a digest": {"sources": [{"origin": "a", "files": [{"origin": "a"}]}]},
}.items():
    says = "not JSON" if isinstance(content, str) else "manifest.json: "
    add(KIND, f"a manifest {name}", partial(of_manifest, content), says)


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


@row(KIND, "an experiment named as an option and a command", "Not verified")
def experiment(project: Path) -> Iterator[None]:
    results = made(project)
    for path in (results / "lineage").rglob("*.json"):
        path.write_text(path.read_text().replace("results/small/", "results/; touch executed/"))
    yield
    audited(results)


for name, arguments in {
    "no text": b"\xff\xfe",
    "another list": b"a list of something else\n",
    "nested JSON": b"[" * 100_000,
}.items():

    def held(project: Path, data: bytes = arguments) -> Iterator[None]:
        results = made(project)
        (project / "root").write_bytes(data)
        yield
        zsl("audit", "--results", results, "--root", project / "root")

    add(KIND, f"a file of a root that is {name}", held, "zsl root --out")


def of_project(change: Change, project: Path) -> Iterator[None]:
    """What ``zsl reproduce`` would link, and run, by a record."""
    from attacks.configs import valid

    results = made(project)
    change_record(results / FIT, change)
    (project / "Snakefile").write_text("rule all:\n    input: []\n")
    (project / "config").mkdir()
    (project / "config/config.yaml").write_text(json.dumps(valid()))
    yield
    zsl("reproduce", "fits/main-1k.json")


for name in (
    "an output that leads out of the results",
    "an input that leads out of the results",
    "a rule that is an option of Snakemake's",
):
    add(
        KIND,
        f"what is made again by {name}",
        partial(of_project, RECORDS[name][0]),
        "no record is of it",
    )
