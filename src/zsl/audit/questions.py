"""The commands ``zsl lineage`` and ``zsl explain``."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from zsl.audit import explain, explain_text, tree_text
from zsl.audit.command import add_place, question_of, target
from zsl.audit.errors import AuditError
from zsl.audit.run import Question, folder_of
from zsl.audit.tree import lineage_of, records_of
from zsl.lineage.history import LINEAGE
from zsl.lineage.store import Record, Records, read_records

FORMATS = ("text", "mermaid", "json")


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's."""
    _add_lineage(commands)
    _add_explain(commands)


def _add_lineage(commands: Any) -> None:
    text = "show what a target was made from, down to raw text"
    added = commands.add_parser(
        "lineage",
        help=text,
        description=f"{text.capitalize()}, as its records say: code, settings, seed, device and "
        "time of each step. They are read, not checked: that is what zsl audit does.",
    )
    added.set_defaults(command=_lineage)
    added.add_argument(
        "target",
        type=target,
        metavar="TARGET",
        help="a figure, table, run (its training; its loss curve where it is imported), file, "
        "main, or all",
    )
    added.add_argument("--format", choices=FORMATS, default="text", help="what to print (text)")
    add_place(added)


def _lineage(options: argparse.Namespace) -> str:
    question = question_of(options)
    records = read_records(_folder(question))
    found = lineage_of(records, records_of(options.target, records, question.project))
    if options.format == "json":
        return json.dumps(tree_text.as_json(found), indent=1, ensure_ascii=False)
    return tree_text.as_mermaid(found) if options.format == "mermaid" else tree_text.as_text(found)


def _folder(question: Question) -> Path:
    return folder_of(question, None if question.results else question.plan)


def _add_explain(commands: Any) -> None:
    text = "say why two artifacts, runs or experiments differ"
    added = commands.add_parser(
        "explain",
        help=text,
        description=f"{text.capitalize()}: the settings, functions, packages, seeds, raw sources "
        "and devices that were others first, by the records.",
    )
    added.set_defaults(command=_explain)
    for name in ("A", "B"):
        added.add_argument(
            name.lower(),
            type=target,
            metavar=name,
            help="a figure, table, run or file, which may be in another folder of results; or an "
            "experiment: such a folder, or its name below results/",
        )
    added.add_argument("--diff", action="store_true", help="show the source that changed")
    added.add_argument("--json", action="store_true", help="print JSON")
    add_place(added)


@dataclass(frozen=True)
class Side:
    """One side of a comparison."""

    records: Records
    record: Record | None = None
    """Of an artifact or run; None: an experiment."""
    output: str | None = None
    """The artifact, where one output of its job is meant."""

    @property
    def said(self) -> str:
        """What it is, in a line."""
        if self.record is None:
            return f"{self.place}, an experiment of {len(self.records.current)} records"
        when = self.record.content["time"]["end"][:16].replace("T", " ")
        name = self.output or self.record.name
        return f"{self.place}: {name} ({self.record.rule}, made {when} UTC)"

    @property
    def place(self) -> str:
        """The folder of results, relative to the working directory where it is below it."""
        folder = self.records.results
        below = folder.is_relative_to(Path.cwd())
        return (folder.relative_to(Path.cwd()) if below else folder).as_posix()


def _explain(options: argparse.Namespace) -> str:
    question = question_of(options)
    read = cache(read_records)  # both may be of one experiment
    a, b = (_side(name, question, read) for name in (options.a, options.b))
    if (a.record is None) != (b.record is None):
        raise AuditError(
            f"{options.a} and {options.b}: one is an experiment and the other is not; name two "
            "experiments, or two artifacts or runs"
        )
    sides, names = (a.records, b.records), (a.said, b.said)
    if a.record is None or b.record is None:
        found = explain.explain_experiments(sides)
    else:
        outputs = (a.output, b.output) if a.output and b.output else None
        found = explain.explain([(a.record, b.record)], sides, outputs)
    if options.json:
        plain = explain_text.as_json(found, names, sides, diff=options.diff)
        return json.dumps(plain, indent=1, ensure_ascii=False)
    return explain_text.as_text(found, names, sides, diff=options.diff)


def _side(name: str, question: Question, read: Callable[[Path], Records]) -> Side:
    """What a name means: an experiment, or an artifact or run of one.

    Raises AuditError where it is neither.
    """
    for folder in (question.project / name, question.project / "results" / name):
        if (folder / LINEAGE).is_dir():
            return Side(read(folder))
    path = Path(os.path.abspath(question.project / name))  # noqa: PTH100 (links are kept)
    around = next((each for each in path.parents if (each / LINEAGE).is_dir()), None)
    folder = around or _folder(question)
    target = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else name
    records = read(folder)
    found = records_of(target, records, question.project)
    if len(found) > 1:
        raise AuditError(f"{name} is {len(found)} artifacts; name one, a run, or an experiment")
    record = records.current[found[0]]
    return Side(records, record, target if target in record.outputs else None)
