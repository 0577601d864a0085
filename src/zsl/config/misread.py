"""What YAML reads as something else than whoever wrote it meant.

``no`` is false, ``010`` is 8, ``1:30`` is 90, ``2024-01-01`` is a date; none of them is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from zsl.config.yaml_files import LARGEST
from zsl.errors import BrokenFileError
from zsl.files import read_limited

TAG = "tag:yaml.org,2002:"
KINDS = {
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
    "timestamp": "a date",
}
"""In words, by YAML's name."""
SPACES = {"\u00a0": "a no-break space", "\u3000": "a wide space", "\u200b": "a space of no width"}
"""What looks like a space or nothing, and is neither to YAML."""


def misread(text: str) -> list[str]:
    """A line for each name that is no text and each number of another base, in their order.

    ``text`` is YAML that can be read.
    """
    found: dict[int, str] = {}
    waiting, seen = [yaml.compose(text, Loader=yaml.SafeLoader)], set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:  # of aliases
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                waiting.append(value)
                if kind := KINDS.get(key.tag.removeprefix(TAG)):
                    said = f"the name {key.value} is {kind} to YAML; put it in quotes"
                    found[key.start_mark.index] = f"line {key.start_mark.line + 1}: {said}"
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif node.tag in (f"{TAG}int", f"{TAG}float"):
            for said in _other_base(node.value.replace("_", "")):
                found[node.start_mark.index] = f"line {node.start_mark.line + 1}: {said}"
    return [found[place] for place in sorted(found)]


def _other_base(number: str) -> Iterator[str]:
    if ":" in number:
        yield f"{number} is a number to base 60 to YAML; write it to base 10, or in quotes"
    elif re.fullmatch(r"[-+]?0[0-7]+", number) and int(number, 8) != int(number):
        yield (
            f"{number} is {int(number, 8)} to YAML, which takes numbers that begin with 0 for "
            "octal ones; leave the 0 out"
        )


def answers_for_numbers(values: Any, found: Any, where: Sequence[str]) -> Iterator[str]:
    """A line for each yes or no in ``values`` that became a number in ``found``."""
    if isinstance(values, Mapping) and isinstance(found, Mapping):
        pairs = [(str(key), values[key], found[key]) for key in values if key in found]
    elif isinstance(values, list) and isinstance(found, list | tuple):
        pairs = [(str(n), *pair) for n, pair in enumerate(zip(values, found, strict=False))]
    else:
        pairs = []
        if isinstance(values, bool) and not isinstance(found, bool):
            yield f"{'.'.join(where)} = {values}: yes and no, on and off are no numbers; give one"
    for key, value, became in pairs:
        yield from answers_for_numbers(value, became, (*where, key))


def way_out(mistake: str, value: Any) -> str:
    """What to do about a value of the wrong kind, to be put after what pydantic says of it."""
    if mistake == "string_type" and isinstance(value, bool | int | float | date):
        return "; YAML reads it as another kind: put it in quotes"
    if mistake == "int_parsing" and re.fullmatch(r"\d+(\.\d*)?e\+?\d\d?", value, re.IGNORECASE):
        return f"; write it out, {int(float(value))}"
    if mistake == "dict_type" and value is None:
        return "; nothing stands there: write {} if nothing is meant"
    if mistake == "dict_type" and isinstance(value, str) and ":" in value:
        return "; a space belongs after the colon"
    return ""


def unreadable(path: str | Path) -> str:
    """What may be why a file is no YAML, to be put after what YAML says; empty: nothing known."""
    try:
        lines = read_limited(path, LARGEST).decode().splitlines()
    except UnicodeDecodeError:
        return "; save it as UTF-8"
    except BrokenFileError:  # of which YAML has not read a line
        return ""
    for number, line in enumerate(lines, start=1):
        for character, name in SPACES.items():
            if character in line:
                return f"\n  line {number} holds {name}, which YAML takes for a letter"
    return ""
