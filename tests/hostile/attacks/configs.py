"""Configurations: no YAML, bombs, wrong kinds and sizes, names and texts that are commands."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from attacks import row, rows, zsl

KIND = "configuration"
RUN = {
    "corpus": "text",
    "model": {"d_model": 8, "n_layers": 1, "n_heads": 2},
    "sequence_length": 16,
    "batch_size": 4,
    "steps": 200,
    "optimizer": {"learning_rate": 0.01},
    "schedule": {"warmup_steps": 4},
}
CORPUS = {
    "train": [{"kind": "files", "paths": ["text.txt"]}],
    "evaluation": {"sequences": 4, "sequence_length": 16},
    "tokenizer": {"kind": "bpe", "vocab_size": 300},
}
IMPORTED = {"path": "curves.json", "format": "authors", "values": "smoothed"}
STEPS = [*range(1, 300)]
CURVES = json.dumps({"14M": {"smoothed_loss": {"x": STEPS, "y": [3 - n / 300 for n in STEPS]}}})


def valid() -> dict[str, Any]:
    """A small configuration without mistakes."""
    values = {
        "experiment": "small",
        "corpora": {"text": CORPUS},
        "suites": {"main": {"runs": {"a": RUN}}},
        "measurements": {"token_gradients": {"sequences": 2}, "cross_section": {"sequences": 2}},
        "tables": {"table2_steps": [4, 32]},
    }
    return json.loads(json.dumps(values))  # nothing is shared


def changed(key: str, value: Any) -> dict[str, Any]:
    """The small configuration with one dotted key set."""
    values = valid()
    *parents, last = key.split(".")
    inner = values
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[last] = value
    return values


def of_text(text: str | bytes, project: Path) -> Iterator[None]:
    """A file of these bytes, as ``zsl plan`` reads it."""
    path = project / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    yield
    zsl("plan", "--configfile", path)


def multiplied(first: str, line: str) -> str:
    """Lists or mappings of aliases: ten times as many values with each line."""
    lines = [first]
    for before, name in pairwise("abcdefghij"):
        lines.append(line.format(name, ", ".join([f"*{before}"] * 10)))
    return "\n".join(lines)


SYSTEM = "os.system('touch ../outside/executed')"
NO_YAML = "config.yaml: not a YAML file"
BOMB = multiplied("a: &a [x, x, x, x, x, x, x, x, x, x]", "{0}: &{0} [{1}]")
TAG = f'experiment: !!python/object/apply:os.system ["{SYSTEM}"]'
YTE = f"__use_yte__: true\n__definitions__:\n  - import os\nexperiment: ?{SYSTEM}"
FILES: dict[str, tuple[str | bytes, str]] = {
    "a tag that runs a command": (TAG, "could not determine a constructor for the tag"),
    "Python in a template of Snakemake's (YTE)": (YTE, "unknown key '__use_yte__'"),
    "aliases that multiply lists a billion times": (BOMB, "values, aliases written out"),
    "aliases that merge mappings a billion times": (
        multiplied("a: &a {k: 1}", "{0}: &{0} {{<<: [{1}]}}"),
        "values, aliases written out",
    ),
    "100,000 lists in one another": ("a: " + "[" * 100_000, NO_YAML),
    "a file of 2 MiB": ("# " + "x" * (2 << 20), "larger than 1,048,576 bytes"),
    "a key that stands there twice": ("experiment: a\nexperiment: b", "the key 'experiment' a"),
    "a number of 20,000 bits": ("threads: 0x" + "f" * 5000, "a number of more than 63 bits"),
    "bytes that are not UTF-8": (b"experiment: \xff\xfe", NO_YAML),
    "a pickle": (b"\x80\x04\x95\x0c\x00\x00\x00cposix\nsystem\n", NO_YAML),
}
rows(KIND, of_text, FILES)


def of_value(key: str, value: Any, project: Path) -> Iterator[None]:
    """The small configuration with one value changed."""
    yield from of_text(yaml.safe_dump(changed(key, value)), project)


TRAIN = "corpora.text.train"
VALUES: dict[str, tuple[str, Any, str]] = {
    "NaN": ("suites.main.runs.a.optimizer.learning_rate", float("nan"), "learning_rate = nan"),
    "10 million checkpoints": (
        "suites.main.runs.a",
        {**RUN, "steps": 10**7, "checkpoints": {"every": 1}},
        "keeps 10,000,000 checkpoints, more than 10,000",
    ),
    "a vocabulary of 2^40": ("corpora.text.tokenizer.vocab_size", 1 << 40, "vocab_size"),
    "a wrong value of a megabyte": ("threads", "x" * 900_000, "900,002 characters"),
    "a key with a terminal's escape sequence": ("\x1b[2Jboo", 1, "unknown key '\\x1b[2Jboo'"),
    "a thousand mistakes": ("tables.table2_steps", ["x"] * 1000, "and 980 more mistakes"),
    "a tokenizer named as a path": (
        "corpora.text.tokenizer",
        {"kind": "olmo", "name": "../../x", "vocab_size": 10, "eos_token_id": 0},
        "name = '../../x'",
    ),
    "a pattern of a package that leads out of it": (
        TRAIN,
        [{"kind": "distribution", "distribution": "ai2-olmo", "files": ["../../../etc/*.txt"]}],
        "leads out of the folder",
    ),
    "a path with a NUL": (TRAIN, [{"kind": "files", "paths": ["a\0.txt"]}], "control characters"),
    "a path with a wildcard of Snakemake's": (
        TRAIN,
        [{"kind": "files", "paths": ["{run}.txt"]}],
        "which Snakemake takes for wildcards",
    ),
    "the records' folder for a name": ("experiment", "lineage", "is the folder of the records"),
}
rows(KIND, of_value, VALUES)

PLACES: dict[str, Callable[[str], Any]] = {
    "experiment": lambda name: changed("experiment", name),
    "corpus": lambda name: {**valid(), "corpora": {name: CORPUS}},
    "suite": lambda name: {**valid(), "suites": {name: {"runs": {"a": RUN}}}},
    "run": lambda name: {**valid(), "suites": {"main": {"runs": {name: RUN}}}},
    "repeated run": lambda name: changed("suites.main.repeat", {name: [1]}),
    "imported run": lambda name: changed("suites.main.imported", {"runs": {name: IMPORTED}}),
    "corpus of a run": lambda name: changed("suites.main.runs.a.corpus", name),
}
REMOTES: dict[str, Callable[[str], Any]] = {
    "mirror": lambda url: changed(
        TRAIN, [{"kind": "files", "remote": [{"url": "http://x.org/a.txt", "mirrors": [url]}]}]
    ),
    "list": lambda url: changed(TRAIN, [{"kind": "memmap", "shards": {"remote": {"url": url}}}]),
    "curve": lambda url: changed(
        "suites.main.imported",
        {"runs": {"14M": {**IMPORTED, "path": None, "url": url, "sha256": "0" * 64}}},
    ),
    "text": lambda url: changed(TRAIN, [{"kind": "files", "remote": [{"url": url}]}]),
}


def everywhere(places: dict[str, Callable[[str], Any]], text: str, project: Path) -> Iterator[None]:
    """This text in each of these places: each is refused; the last message is handed on."""
    from zsl.config.load import resolve
    from zsl.errors import ConfigError

    yield
    for place, make in places.items():
        try:
            resolve(make(text))
        except ConfigError as error:
            refused = error
            continue
        raise AssertionError(f"taken as the {place}")
    raise refused


NAMES = {
    "that leads out of the results": "../../outside",
    "that is empty": "",
    "that looks like an option": "-rf",
    "with a command": "a; $(touch executed)",
    "with a wildcard of Snakemake's": "{run}",
    "with a terminal's escape sequence": "a\x1b[2J\n\0",
}
ADDRESSES = {
    "of a script": "javascript:alert(1)",
    "with a line end": "http://example.org/a.txt\nHost: other",
    "of 5,000 characters": "http://example.org/" + "a" * 5000,
}
rows(KIND, everywhere, {f"a name {n}": (PLACES, t, "String should") for n, t in NAMES.items()})
rows(
    KIND,
    everywhere,
    {f"an address {n}": (REMOTES, t, "train.0.remote.0.url") for n, t in ADDRESSES.items()},
)


def of_odd(make: Callable[[Path], object], project: Path) -> Iterator[None]:
    """A path that is something else than a file."""
    make(project / "config.yaml")
    yield
    zsl("plan", "--configfile", project / "config.yaml")


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (Path.mkdir, "config.yaml: no plain file"),
    "a device without end": (lambda path: path.symlink_to("/dev/zero"), "yaml: no plain file"),
    "a pipe that nobody writes to": (os.mkfifo, "config.yaml: no plain file"),
}
rows(KIND, of_odd, ODD)
WORDS = "$(touch executed) `touch executed`; <script>alert(1)</script> {run} {0} %s \\input{x}"


@row(KIND, "descriptions and notes of commands, markup and formats", None)
def words(project: Path) -> Iterator[None]:
    values = changed("description", WORDS)
    imported = {"runs": {"14M": {**IMPORTED, "note": WORDS}}}
    values["suites"]["main"] |= {"description": WORDS, "imported": imported}
    path = project / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    (project / "curves.json").write_text(CURVES)
    (project / "text.txt").write_text("text")
    yield
    for command in ("plan", "runs", "config"):
        said = " ".join(zsl(command, "--configfile", path).split())
        assert WORDS in said, f"zsl {command} printed {said[:3000]}"
    zsl("targets", "--configfile", path)
