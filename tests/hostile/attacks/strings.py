"""Every text of a configuration: names, paths, addresses, words for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from attacks import add, row, zsl
from attacks.configs import CORPUS, RUN, changed, of_values, valid

KIND = "texts of a configuration"
NAMES = {
    "that leads out of the results": "../../outside",
    "that is absolute": "/tmp/outside",
    "with a slash": "a/b",
    "that is empty": "",
    "that is the folder above": "..",
    "that looks like an option": "-rf",
    "with a command in $( )": "$(touch executed)",
    "with a command in backticks": "`touch executed`",
    "with a second command": "a; touch executed",
    "with a pipe": "a|touch executed",
    "with a blank": "a b",
    "with a line end": "a\n",
    "with a wildcard of Snakemake's": "{run}",
    "with a format": "{0.__class__}",
    "with a percent sign": "%s",
    "with a NUL": "a\0b",
    "with a terminal's escape sequence": "a\x1b[2J",
    "of 65 letters": "a" * 65,
    "of letters beyond ASCII": "naïve",
}
IMPORTED = {"path": "curves.json", "format": "authors", "values": "smoothed"}


def curve(**settings: Any) -> dict[str, Any]:
    """An imported curve with other settings."""
    return {"runs": {"14M": {**IMPORTED, **settings}}}


def curves_file() -> str:
    """The file that it is in."""
    points = {"x": [*range(1, 300)], "y": [3.0 - step / 300 for step in range(1, 300)]}
    return json.dumps({"14M": {"smoothed_loss": points}})


PLACES: dict[str, Any] = {
    "experiment": lambda name: changed("experiment", name),
    "corpus": lambda name: {**valid(), "corpora": {name: CORPUS}},
    "suite": lambda name: {**valid(), "suites": {name: {"runs": {"a": RUN}}}},
    "run": lambda name: {**valid(), "suites": {"main": {"runs": {name: RUN}}}},
    "repeated run": lambda name: changed("suites.main.repeat", {name: [1]}),
    "imported run": lambda name: changed("suites.main.imported", {"runs": {name: IMPORTED}}),
    "corpus of a run": lambda name: changed("suites.main.runs.a.corpus", name),
}


def named(name: str, project: Path) -> Iterator[None]:
    """All that has a name, called so: each is refused; the last message is handed on."""
    from zsl.config.load import resolve
    from zsl.errors import ConfigError

    yield
    *others, last = [make(name) for make in PLACES.values()]
    for place, values in zip(PLACES, others, strict=False):
        try:
            resolve(values)
        except ConfigError:
            continue
        raise AssertionError(f"taken as the name of the {place}")
    resolve(last)


for name, text in NAMES.items():
    add(KIND, f"a name {name}", partial(named, text), "String should")

for place in ("experiment", "corpus"):
    add(
        KIND,
        f"a name of the {place} that is the folder of the records",
        partial(of_values, PLACES[place]("lineage")),
        "is the folder of the records",
    )

SOURCES: dict[str, tuple[dict[str, Any], str]] = {
    "a pattern of a package that leads out of it": (
        {"kind": "distribution", "distribution": "ai2-olmo", "files": ["../../../etc/*.txt"]},
        "leads out of the folder",
    ),
    "a pattern of a package that is absolute": (
        {"kind": "distribution", "distribution": "ai2-olmo", "files": ["/etc/*.txt"]},
        "leads out of the folder",
    ),
    "a package named as a path": (
        {"kind": "distribution", "distribution": "../../x", "files": ["a.txt"]},
        "distribution = '../../x'",
    ),
    "an empty path": ({"kind": "files", "paths": [""]}, "at least 1 character"),
    "a path with a NUL": ({"kind": "files", "paths": ["a\0.txt"]}, "control characters"),
    "a path with a line end": ({"kind": "files", "paths": ["a\n.txt"]}, "has a line end"),
    "a path of 5,000 letters": ({"kind": "files", "paths": ["a" * 5000]}, "at most 1000"),
    "a path with a wildcard of Snakemake's": (
        {"kind": "files", "paths": ["{run}.txt"]},
        "which Snakemake takes for wildcards",
    ),
    "a pattern that no file system knows": (
        {"kind": "files", "paths": ["a**b/*.txt"]},
        "** stands for whole folders",
    ),
    "a dataset named as a command": (
        {"kind": "huggingface", "dataset": "a; touch executed", "revision": "1"},
        "dataset = 'a; touch executed'",
    ),
    "a dataset named as an address": (
        {"kind": "huggingface", "dataset": "https://example.org/x", "revision": "1"},
        "dataset = 'https://example.org/x'",
    ),
    "a revision with a line end": (
        {"kind": "huggingface", "dataset": "a/b", "revision": "1\n2"},
        "has a line end",
    ),
    "a field with a control character": (
        {"kind": "files", "paths": ["a.jsonl"], "fields": ["a\x07"]},
        "control characters",
    ),
}
for name, (source, says) in SOURCES.items():
    add(KIND, name, partial(of_values, changed("corpora.text.train", [source])), says)

ADDRESSES = {
    "of a script": "javascript:alert(1)",
    "of another protocol": "ftp://example.org/a.txt",
    "without a server": "http:///a.txt",
    "with a broken IPv6 address": "http://[::1/a.txt",
    "with a port that is none": "http://example.org:99999/a.txt",
    "with a line end": "http://example.org/a.txt\nHost: other",
    "with a blank": "http://example.org/a b.txt",
    "of 5,000 characters": "http://example.org/" + "a" * 5000,
}


def addressed(url: str, project: Path) -> Iterator[None]:
    """All that has an address, with this one: each is refused."""
    from zsl.config.load import resolve
    from zsl.errors import ConfigError

    remote, fine = {"url": url}, "http://example.org/a.txt"
    memmap = {"kind": "memmap", "shards": {"remote": remote}}
    others = [
        changed("corpora.text.train", [{"kind": "files", "remote": [{**remote, "url": fine}]}]),
        changed("corpora.text.train", [memmap]),
        changed("corpora.text.tokenizer", {**TOKENIZER, "remote": remote}),
        changed("suites.main.imported", curve(path=None, url=url, sha256="0" * 64)),
    ]
    others[0]["corpora"]["text"]["train"][0]["remote"][0]["mirrors"] = [url]
    yield
    for values in others:
        try:
            resolve(values)
        except ConfigError:
            continue
        raise AssertionError("taken")
    resolve(changed("corpora.text.train", [{"kind": "files", "remote": [remote]}]))


TOKENIZER = {"kind": "file", "vocab_size": 10, "eos_token_id": 0}
for name, url in ADDRESSES.items():
    add(KIND, f"an address {name}", partial(addressed, url), "corpora.text.train.0.remote.0.url")

TEXTS: dict[str, tuple[str, Any, str]] = {
    "a description with a terminal's escape sequence": (
        "description",
        "\x1b]0;boo\x07",
        "control characters",
    ),
    "a description that reverses what follows": ("description", "a \u202e b", "control char"),
    "a suite's description with a NUL": ("suites.main.description", "a\0", "control characters"),
    "a description of a megabyte": ("description", "x" * 900_000, "at most 10000 characters"),
    "a note with a control character of eight bits": (
        "suites.main.imported",
        curve(note="\x9b2J"),
        "control characters",
    ),
    "a tokenizer named as a path": (
        "corpora.text.tokenizer",
        {"kind": "olmo", "name": "../../x", "vocab_size": 10, "eos_token_id": 0},
        "name = '../../x'",
    ),
    "a path of a tokenizer with a NUL": (
        "corpora.text.tokenizer",
        {**TOKENIZER, "path": "a\0b"},
        "control characters",
    ),
    "an imported path with a line end": (
        "suites.main.imported",
        curve(path="a\nb"),
        "has a line end",
    ),
    "an imported path with a format": (
        "suites.main.imported",
        curve(path="{0.__class__}.json"),
        "which Snakemake takes for wildcards",
    ),
    "a path of a tokenizer with a wildcard": (
        "corpora.text.tokenizer",
        {**TOKENIZER, "path": "{corpus}.json"},
        "which Snakemake takes for wildcards",
    ),
    "a task that is none": ("measurements.downstream.tasks", ["$(touch executed)"], "tasks.0"),
    "a run asked for that is none": ("measurements.downstream.runs", ["../x"], "no such run"),
}
for name, (key, value, says) in TEXTS.items():
    add(KIND, name, partial(of_values, changed(key, value)), says)

WORDS = "$(touch executed) `touch executed`; <script>alert(1)</script> {run} {0} %s \\input{x}"


@row(KIND, "descriptions and notes of commands, markup and formats", None)
def words(project: Path) -> Iterator[None]:
    values = changed("description", WORDS)
    values["suites"]["main"] |= {"description": WORDS, "imported": curve(note=WORDS)}
    path = project / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    (project / "curves.json").write_text(curves_file())
    (project / "text.txt").write_text("text")
    yield
    for command in ("plan", "runs", "config"):
        said = " ".join(zsl(command, "--configfile", path).split())
        assert WORDS in said, f"zsl {command} printed {said[:3000]}"
    zsl("targets", "--configfile", path)


@row(KIND, "a file whose name is a command and a format", None)
def odd_name(project: Path) -> Iterator[None]:
    from attacks.texts import build, words_of

    name = "$(touch executed); %s 'x' \"y\" -rf é.txt"
    (project / name).write_text(words_of(300))
    yield
    build(project, [{"kind": "files", "paths": [name]}])
