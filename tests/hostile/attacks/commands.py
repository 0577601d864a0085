"""What is typed after ``zsl``: targets, folders, files and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from attacks import add, row, zsl
from attacks.records_files import made

KIND = "arguments of commands"
RESULTS = "results/small"
OUT = "../outside/made"


def typed(arguments: list[str], project: Path) -> Iterator[None]:
    """A command over a small experiment of records, in a folder without a project."""
    made(project)
    yield
    zsl(*arguments)


TARGETS = {
    "that leads out": "../../outside/secret.txt",
    "that is absolute": "/etc/passwd",
    "that is the results themselves": ".",
    "with a command": "$(touch executed)",
    "with a pattern": "results/*/fits/*",
}
NO_NAMES = {"that is empty": "", "with a NUL": "a\0b", "of 10,000 letters": "x" * 10_000}
for name, target in [*TARGETS.items(), *NO_NAMES.items()]:
    for command in ("audit", "lineage", "accept", "reproduce"):
        more = ["--reason", "a"] if command == "accept" else []
        arguments = [command, target, "--results", RESULTS, *more]
        says = "no configuration of" if command == "reproduce" else "no record"
        says = "names nothing" if name in NO_NAMES else says
        add(KIND, f"{command}: a target {name}", partial(typed, arguments), says)
    add(
        KIND,
        f"explain: a target {name}",
        partial(typed, ["explain", target, "fits/main-1k.json", "--results", RESULTS]),
        "names nothing" if name in NO_NAMES else "no record",
    )

OTHERS: dict[str, tuple[list[str], str]] = {
    "a configuration that is not there": (["plan", "--configfile", "../x.yaml"], "no such config"),
    "a configuration with a NUL in its path": (["plan", "--configfile", "a\0b"], "cannot be read"),
    "a configuration with a name of 3,000 letters": (
        ["plan", "--configfile", "x" * 3000],
        "cannot be read",
    ),
    "results that are not there": (["audit", "--results", "../outside"], "no folder"),
    "results that are a file": (["audit", "--results", "/etc/passwd"], "no folder"),
    "an option that is none": (["audit", "--evil"], "unrecognized arguments"),
    "an option for a target": (
        ["audit", "--results", RESULTS, "--", "--config"],
        "no record is of",
    ),
    "a command that is none": (["$(touch executed)"], "invalid choice"),
    "a share that is NaN": (["plan", "--utilisation", "nan"], "is no share"),
    "a share that is text": (["plan", "--utilisation", "x"], "invalid _share value"),
    "a root that is a folder": (["audit", "--results", RESULTS, "--root", "."], "neither 64 hex"),
    "a root that is a device": (
        ["audit", "--results", RESULTS, "--root", "/dev/zero"],
        "neither 64 hex",
    ),
    "a signature without a key": (
        ["audit", "--results", RESULTS, "--signature", "x"],
        "--signature needs --root FILE",
    ),
    "a key that is not there": (
        ["root", "--results", RESULTS, "--out", OUT, "--sign", "x"],
        "no such key",
    ),
    "an acceptance without a reason": (
        ["accept", "fits/main-1k.json", "--results", RESULTS, "--reason", " "],
        "--reason is empty",
    ),
    "no threads": (["measure", "token_losses", "--threads", "0"], "is no number of threads"),
    "a billion threads": (
        ["measure", "token_losses", "--threads", "9" * 9],
        "is no number of threads",
    ),
    "a measurement that is none": (["measure", "../x"], "invalid choice"),
}
for name, (arguments, says) in OTHERS.items():
    add(KIND, name, partial(typed, arguments), says)


@row(KIND, "a measurement into a file that is there", "exists already")
def overwritten(project: Path) -> Iterator[None]:
    yield
    places = ["--checkpoint", "x", "--tokens", "x", "--out", "../outside/secret.txt"]
    zsl("measure", "token_losses", *places)


@row(KIND, "a checkpoint that is not there", "x: no such folder")
def nowhere(project: Path) -> Iterator[None]:
    yield
    zsl("measure", "token_losses", "--checkpoint", "x", "--tokens", "x", "--out", "results/x.h5")
