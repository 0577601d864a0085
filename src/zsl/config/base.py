"""The base of all settings, and the kinds of text and numbers that they hold."""

from __future__ import annotations

import difflib
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from zsl.errors import printable

LARGEST_NUMBER = (1 << 63) - 1
"""What counters, seeds and array sizes hold."""
MANY = 1_000_000
"""More than anything is counted in: a number beyond it is a slip, and would fill the memory."""
STEPS = 99_999_999
"""Most steps of a run: names of checkpoints and segments have eight digits."""


def _plain(text: str) -> str:
    if printable(text) != text:
        raise ValueError("holds control characters; leave them out")
    return text


def _one_line(text: str) -> str:
    if "\n" in text or "\t" in text:
        raise ValueError("has a line end or a tab; write it on one line")
    return _plain(text)


def _file(text: str) -> str:
    if "{" in text or "}" in text:
        raise ValueError("holds { or }, which Snakemake takes for wildcards; rename the file")
    return text


def _pattern(text: str) -> str:
    if any("**" in part and part != "**" for part in text.split("/")):
        raise ValueError("** stands for whole folders; write it between two slashes")
    return text


def _below(text: str) -> str:
    if text.startswith("/") or ".." in text.split("/"):
        raise ValueError("leads out of the folder that it is below; leave out / and ..")
    return text


def _address(text: str) -> str:
    parts = urlsplit(text)  # raises ValueError for what is no address
    if parts.scheme != "file" and not parts.hostname:
        raise ValueError("names no server")
    _ = parts.port  # raises ValueError for what is no port
    return text


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
"""A name that becomes part of a path: letters, digits, ``_``, ``.``, ``-``."""
Words = Annotated[str, Field(max_length=10_000), AfterValidator(_plain)]
"""Text for people."""
Line = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_one_line)]
"""A short text."""
File = Annotated[Line, AfterValidator(_file)]
"""A path."""
Pattern = Annotated[File, AfterValidator(_pattern)]
"""A glob pattern of paths; ``**`` stands for folders."""
Below = Annotated[Pattern, AfterValidator(_below)]
"""A pattern of paths below a folder."""
Address = Annotated[
    str, Field(pattern=r"^(https?|file)://\S+$", max_length=2000), AfterValidator(_address)
]
"""A URL."""
Step = Annotated[int, Field(ge=0, le=STEPS)]
"""A step of a run."""
Seed = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]
"""Of a random generator."""


def nearest(word: str, known: list[str]) -> str:
    """A sentence that points from a wrong word to the right one among ``known``."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(known) if known else 'none'}"


class Settings(BaseModel):
    """Unknown keys are errors that name the nearest known one; values never change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key, value in values.items():
                if key not in cls.model_fields:
                    hint = nearest(str(key), [*cls.model_fields])
                    raise ValueError(f"unknown key {str(key)[:100]!r}; {hint}")
                if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
                    raise ValueError(f"{key} has more than 63 bits; choose a smaller number")
        return values
