"""The base of all settings."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


def nearest(word: str, known: list[str]) -> str:
    """A sentence that points from a wrong word to the right one among ``known``."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(known) if known else 'none'}"


class Settings(BaseModel):
    """Unknown keys are errors that name the nearest known one; values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    hint = nearest(str(key), [*cls.model_fields])
                    raise ValueError(f"unknown key {key!r}; {hint}")
        return values
