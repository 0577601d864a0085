"""The table of hostile inputs: what is given to the project, and what it has to say.

A row is a generator over the folder of a project. It lays the input down, yields, and hands it to
the library or to a command. :mod:`attacks.judged` runs it in a process of its own and looks at what
came of it. Of each reader there are the few rows that show its promises: nothing is executed,
nothing is written outside the results, memory is bounded, one message says what is wrong.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

Attack = Callable[[Path], Iterator[None]]
"""Given the project's folder; what it does before its ``yield`` is preparation."""


@dataclass(frozen=True)
class Row:
    """One hostile input."""

    attack: Attack
    says: str | None
    """Words of the one message; None: the input is taken as what it is, and does no harm."""


TABLE: dict[str, Row] = {}
"""By the kind of input and what is hostile in it."""


def row(kind: str, name: str, says: str | None) -> Callable[[Attack], Attack]:
    """Add the function that follows as a row."""

    def added(attack: Attack) -> Attack:
        id = f"{kind}: {name}"
        assert id not in TABLE, f"two rows are called {id}"
        TABLE[id] = Row(attack, says)
        return attack

    return added


def rows(
    kind: str, attack: Callable[..., Iterator[None]], made: Mapping[str, tuple[Any, ...]]
) -> None:
    """Add rows of which each gives ``attack`` other arguments; the last one is what is said."""
    for name, (*given, says) in made.items():
        row(kind, name, says)(partial(attack, *given))


class Refused(Exception):
    """A command ended with another code than 0; the text is what it said on stderr."""


def zsl(*arguments: str | Path) -> str:
    """What a ``zsl`` command prints. Raises Refused where it does not end well."""
    from zsl.cli import main

    said, printed = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(printed):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
    if code:
        raise Refused(said.getvalue() or printed.getvalue())
    return printed.getvalue()
