"""Which parts of a record make its text."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any

SHOWN = 10
"""Keys of a record that are said where one is missing."""


class MissingFieldError(LookupError):
    """A record has no text under a declared field."""


def named(keys: Iterable[object]) -> str:
    """The first of the keys of a record, for a message."""
    known = [str(key)[:40] for key in keys]
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return ", ".join(known[:SHOWN]) + more


def field_lines(record: Any, field: str) -> list[str]:
    """Lines that a field of a record holds; ``a.b`` reaches into nested records, where the record
    has no key of that name.

    A list gives one line per element, reached into element by element. Numbers are written
    out. Null gives no line; so does NaN, which pandas and Python write for it. Raises
    MissingFieldError, saying what is there instead.
    """
    value = record
    parts = [field] if isinstance(record, dict) and field in record else field.split(".")
    for part in parts:
        value = _reach(value, part, field)
    return _texts(value, field)


def _reach(value: Any, part: str, field: str) -> Any:
    if value is None:
        return None
    if isinstance(value, list):
        return [_reach(element, part, field) for element in value]
    if isinstance(value, dict) and part in value:
        return value[part]
    there = f"has {named(value)}" if isinstance(value, dict) else "is not a record"
    raise MissingFieldError(f"no field {field!r} (looking for {part!r} in what {there})")


def _texts(value: Any, field: str) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [line for element in value for line in _texts(element, field)]
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return []
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [str(value)]
    raise MissingFieldError(
        f"field {field!r} holds {type(value).__name__}, expected text, a number or a list of them"
    )


def record_text(record: Any, fields: list[str]) -> str:
    """Text of a record: its fields' lines joined by newlines. Raises MissingFieldError."""
    return "\n".join(line for field in fields for line in field_lines(record, field))
