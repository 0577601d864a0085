"""The table of hostile inputs: what is given to the project, and what it has to say.

A row is a generator over the folder of a project. It lays the input down, yields, and hands it to
the library or to a command. :mod:`attacks.judged` runs it in a process of its own and looks at what
came of it.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

Attack = Callable[[Path], Iterator[None]]
"""Given the project's folder; what it does before its ``yield`` is preparation."""


@dataclass(frozen=True)
class Row:
    """One hostile input."""

    kind: str
    """The kind of input, a heading of docs/hostile.md."""
    name: str
    """What is hostile in it."""
    attack: Attack
    says: str | None
    """Words of the one message; None: the input is taken as what it is, and does no harm."""

    @property
    def id(self) -> str:
        """Name of the test."""
        return f"{self.kind}: {self.name}"


TABLE: dict[str, Row] = {}


def add(kind: str, name: str, attack: Attack, says: str | None) -> None:
    """Add a row."""
    made = Row(kind, name, attack, says)
    assert made.id not in TABLE, f"two rows are called {made.id}"
    TABLE[made.id] = made


def row(kind: str, name: str, says: str | None) -> Callable[[Attack], Attack]:
    """Add the function that follows as a row."""

    def added(attack: Attack) -> Attack:
        add(kind, name, attack, says)
        return attack

    return added


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
