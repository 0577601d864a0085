"""Configuration files that are no YAML, no mapping, bombs, or wrong in size, kind and number."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from attacks import add, row, zsl

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


def of_bytes(data: bytes, project: Path) -> Iterator[None]:
    """A file of these bytes, as ``zsl plan`` reads it."""
    path = project / "config.yaml"
    path.write_bytes(data)
    yield
    zsl("plan", "--configfile", path)


def of_values(values: Any, project: Path) -> Iterator[None]:
    """These values as a file."""
    yield from of_bytes(yaml.safe_dump(values).encode(), project)


LETTERS = "abcdefghij"


def lists(repeats: int) -> str:
    """Lists of lists by aliases: ``repeats`` times as many values with each line."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for before, name in pairwise(LETTERS):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * repeats)}]")
    return "\n".join(lines)


def merges(repeats: int) -> str:
    """The same of mappings that are merged in."""
    lines = ["a: &a {k: 1}"]
    for before, name in pairwise(LETTERS):
        lines.append(f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * repeats)}]}}")
    return "\n".join(lines)


SYSTEM = "os.system('touch ../outside/executed')"
NO_YAML = "config.yaml: not a YAML file"
FILES: dict[str, tuple[str | bytes, str]] = {
    "a tag that runs a command": (
        f'experiment: !!python/object/apply:os.system ["{SYSTEM}"]',
        "could not determine a constructor for the tag",
    ),
    "a tag that names a function": (
        "experiment: !!python/name:os.system",
        "could not determine a constructor for the tag",
    ),
    "a tag that makes an object": (
        'experiment: !!python/object/new:pathlib.Path ["/etc/passwd"]',
        "could not determine a constructor for the tag",
    ),
    "Python in a template of Snakemake's (YTE)": (
        f"__use_yte__: true\n__definitions__:\n  - import os\nexperiment: ?{SYSTEM}",
        "unknown key '__use_yte__'",
    ),
    "aliases that multiply lists a billion times": (lists(10), "values, aliases written out"),
    "aliases that merge mappings a billion times": (merges(10), "values, aliases written out"),
    "an alias of what it is in": ("a: &a [*a]", "an alias of what it is itself part of"),
    "a mapping that merges itself": ("a: &a {<<: *a}", "an alias of what it is itself part of"),
    "100,000 lists in one another": ("a: " + "[" * 100_000, "nested more than 50 deep"),
    "100 mappings in one another": (
        "".join(f"{' ' * n}a:\n" for n in range(100)),
        "nested more than 50 deep",
    ),
    "101,000 values": ("a: [" + "a," * 101_000 + "]", "more than 100,000 values"),
    "a file of 2 MiB": ("# " + "x" * (2 << 20), "larger than 1,048,576 bytes"),
    "a key that stands there twice": ("experiment: a\nexperiment: b", "the key 'experiment' a"),
    "a number of 5,000 digits": ("threads: " + "9" * 5000, "which is no int"),
    "a number of 20,000 bits": ("threads: 0x" + "f" * 5000, "a number of more than 63 bits"),
    "a day that does not exist": ("experiment: 2020-99-99", "which is no timestamp"),
    "a word tagged as a number": ("threads: !!int x", "which is no int"),
    "a set, which has no order": ("tables: {table2_steps: !!set {1, 2}}", NO_YAML),
    "a key that is a list": ("[a, b]: 1", "unhashable key"),
    "a key that is a number": ("1: 1", "config.yaml: line 1: the name 1 is a number to YAML"),
    "two documents": ("experiment: a\n---\nexperiment: b", "expected a single document"),
    "bytes that are not UTF-8": (b"experiment: \xff\xfe", NO_YAML),
    "UTF-16": ("experiment: a".encode("utf-16"), NO_YAML),
    "a NUL byte": (b"experiment: a\0b", NO_YAML),
    "half a surrogate pair": ('experiment: "\\ud800"', "experiment"),
    "nothing": ("", "expected keys and values, found NoneType"),
    "a list": ("- a", "expected keys and values, found list"),
    "a pickle": (b"\x80\x04\x95\x0c\x00\x00\x00cposix\nsystem\n", NO_YAML),
}
for name, (text, says) in FILES.items():
    data = text if isinstance(text, bytes) else text.encode()
    add(KIND, name, partial(of_bytes, data), says)

VALUES: dict[str, tuple[str, Any, str]] = {
    "text for a number": ("suites.main.runs.a.steps", "many", "suites.main.runs.a.steps = 'many'"),
    "a list for a mapping": ("suites", [1], "suites = [1]"),
    "text for a run": ("suites.main.runs.a", "run", "suites.main.runs.a = 'run'"),
    "NaN": ("suites.main.runs.a.optimizer.learning_rate", float("nan"), "learning_rate = nan"),
    "infinity": ("suites.main.runs.a.optimizer.learning_rate", float("inf"), "finite number"),
    "NaN as the largest gradient norm": ("suites.main.runs.a.optimizer.clip", float("nan"), "clip"),
    "a seed below 0": ("suites.main.repeat", {"a": [-1]}, "suites.main.repeat.a.0 = -1"),
    "more steps than names of checkpoints have digits for": (
        "suites.main.runs.a.steps",
        10**8,
        "less than or equal to 99999999",
    ),
    "10 million checkpoints": (
        "suites.main.runs.a",
        {**RUN, "steps": 10**7, "checkpoints": {"every": 1}},
        "keeps 10,000,000 checkpoints, more than 10,000",
    ),
    "a width of which all divisors are listed": (
        "suites.main.runs.a.model",
        {"d_model": 999_983, "n_layers": 1, "n_heads": 2},
        "choose one of 1, 999983",
    ),
    "a width of a trillion": ("suites.main.runs.a.model.d_model", 10**12, "d_model"),
    "a billion layers": ("suites.main.runs.a.model.n_layers", 10**9, "n_layers = 1000000000"),
    "a vocabulary of 2^40": ("corpora.text.tokenizer.vocab_size", 1 << 40, "vocab_size"),
    "a window of a billion tokens": ("corpora.text.evaluation.window", 10**9, "window"),
    "a billion threads": ("threads", 10**9, "threads = 1000000000"),
    "a trillion refits": ("fits.bootstrap", 10**12, "fits.bootstrap"),
    "a repetition that is another run already": (
        "suites.main",
        {"runs": {"a": RUN, "a_seed7": {**RUN, "steps": 300}}, "repeat": {"a": [7]}},
        "there is another run main-a_seed7",
    ),
    "a wrong value of a megabyte": ("threads", "x" * 900_000, "900,002 characters"),
    "a wrong key of a megabyte": ("x" * 900_000, 1, "unknown key 'xxx"),
    "a key with a terminal's escape sequence": ("\x1b[2Jboo", 1, "unknown key '\\x1b[2Jboo'"),
    "a nested key with a line end": (
        "suites.main.runs.a.model",
        {"d_model": 8, "n_layers": 1, "n_heads": 2, "a\nb": 1},
        "unknown key 'a\\nb'",
    ),
    "a thousand mistakes": ("tables.table2_steps", ["x"] * 1000, "and 980 more mistakes"),
}
for name, (key, value, says) in VALUES.items():
    add(KIND, name, partial(of_values, changed(key, value)), says)


@row(KIND, "a folder", "config.yaml: no plain file")
def folder(project: Path) -> Iterator[None]:
    (project / "config.yaml").mkdir()
    yield
    zsl("plan", "--configfile", project / "config.yaml")


@row(KIND, "a device without end", "/dev/zero: no plain file")
def device(project: Path) -> Iterator[None]:
    yield
    zsl("plan", "--configfile", "/dev/zero")


@row(KIND, "a pipe that nobody writes to", "config.yaml: no plain file")
def pipe(project: Path) -> Iterator[None]:
    os.mkfifo(project / "config.yaml")
    yield
    zsl("plan", "--configfile", project / "config.yaml")


@row(KIND, "a link to itself", "config.yaml: cannot be read")
def loop(project: Path) -> Iterator[None]:
    (project / "config.yaml").symlink_to("config.yaml")
    yield
    zsl("plan", "--configfile", project / "config.yaml")


def published(data: bytes, project: Path) -> Iterator[None]:
    """The authors' file that ZSL_PUBLISHED_DIR names, which imported curves are taken from."""
    from zsl.config.load import resolve

    (project / "bnsl_fit.json").write_bytes(data)
    curve = {"url": "https://localhost/bnsl_fit.json", "sha256": "0" * 64, "format": "authors"}
    curves = {"runs": {"14M": {**curve, "values": "smoothed"}}}
    values = {"experiment": "small", "suites": {"main": {"imported": curves}}}
    yield
    resolve(values, {"ZSL_PUBLISHED_DIR": str(project)})


add(KIND, "authors' curves nested too deeply", partial(published, b"[" * 100_000), "not JSON")
add(KIND, "authors' curves that are a list", partial(published, b"[]"), "expected curves by the")
