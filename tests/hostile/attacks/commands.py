"""What is typed after ``zsl``: targets, folders, files and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attacks import row, rows, zsl
from attacks.records_files import made

KIND = "arguments of commands"
RESULTS = "results/small"
FIT = "fits/main-1k.json"
OUT = "--out=../outside/secret.txt"


def typed(arguments: list[str], project: Path) -> Iterator[None]:
    """A command over a small experiment of records, in a folder without a project."""
    made(project)
    yield
    zsl(*arguments)


TARGETS = {
    "that leads out": "../../outside/secret.txt",
    "with a command": "$(touch executed)",
    "with a NUL": "a\0b",
}
for name, target in TARGETS.items():
    commands = {
        "audit": [target],
        "lineage": [target],
        "accept": [target, "--reason", "a"],
        "reproduce": [target],
        "explain": [target, FIT],
    }
    for command, arguments in commands.items():
        says = "no configuration of" if command == "reproduce" else "no record"
        says = "names nothing" if "\0" in target else says
        words = [command, *arguments, "--results", RESULTS]
        row(KIND, f"{command}: a target {name}", says)(lambda p, words=words: typed(words, p))

OTHERS: dict[str, tuple[list[str], str]] = {
    "results that are a file": (["audit", "--results", "/etc/passwd"], "no folder"),
    "a command that is none": (["$(touch executed)"], "invalid choice"),
    "a share that is NaN": (["plan", "--utilisation", "nan"], "is no share"),
    "a billion threads": (
        ["measure", "token_losses", "--threads", "9" * 9],
        "is no number of threads",
    ),
    "a measurement into a file that is there": (
        ["measure", "token_losses", *(f"--{n}=x" for n in ("checkpoint", "tokens")), OUT],
        "exists already",
    ),
}
rows(KIND, typed, OTHERS)
