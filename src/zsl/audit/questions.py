"""The commands ``zsl lineage`` and ``zsl explain``."""

from __future__ import annotations

import argparse
import json
from typing import Any

from zsl.audit import tree_graph, tree_text
from zsl.audit.command import add_place, question_of
from zsl.audit.records import read_records
from zsl.audit.run import folder_of
from zsl.audit.tree import lineage_of, records_of

FORMATS = ("text", "mermaid", "dot", "json")


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's."""
    _add_lineage(commands)


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
        metavar="TARGET",
        help="a figure, table, run (its training; its loss curve where it is imported), file, "
        "main, or all",
    )
    added.add_argument("--format", choices=FORMATS, default="text", help="what to print (text)")
    add_place(added)


def _lineage(options: argparse.Namespace) -> str:
    question = question_of(options)
    results = folder_of(question, None if question.results else question.plan)
    records = read_records(results)
    found = lineage_of(records, records_of(options.target, records, question.project))
    if options.format == "json":
        return json.dumps(tree_text.as_json(found), indent=1, ensure_ascii=False)
    written = {
        "text": tree_text.as_text,
        "mermaid": tree_graph.as_mermaid,
        "dot": tree_graph.as_dot,
    }
    return written[options.format](found)
