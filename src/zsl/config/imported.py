"""Loss curves that were logged elsewhere: where they are, and what has to be known of them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from zsl.config.base import Address, File, Line, Name, Settings, Words
from zsl.config.sources import Sha256

Format = Literal["authors", "csv", "trainer_state", "jsonl", "log"]
BY_SUFFIX: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".log": "log",
    ".out": "log",
}
"""Suffixes that say the format; ``.json`` and ``.txt`` may be several."""


class Columns(Settings):
    """Headings of a table, or keys of its records."""

    step: Line = "step"
    """The number of optimizer steps: whole numbers, no epochs and no tokens."""
    loss: Line = "loss"
    """The train loss, nats; W&B's exports have headings such as ``my-run - train/loss``."""


class ImportedCurve(Settings):
    """The train loss of a run that was trained elsewhere."""

    path: File | None = None
    """The file, relative to the project's root."""
    url: Address | None = None
    """Where it is downloaded from, instead of ``path``."""
    sha256: Sha256 | None = None
    """Its digest; required with ``url``."""
    format: Format | None = None
    """``csv`` (separated by commas, semicolons or tabs), ``jsonl`` (a record a line),
    ``trainer_state`` (transformers', which by default logs no NaN, but the mean so far), ``log``
    (what OLMo, nanoGPT, Megatron-LM and nanotron print), or ``authors`` (the JSON file of the
    paper's curves). The name says it if it ends in .csv, .tsv, .jsonl, .ndjson, .log, .out or
    trainer_state.json."""
    values: Literal["raw", "smoothed"]
    """Whether losses stand as they were logged, to be smoothed here, or smoothed already."""
    columns: Columns = Columns()
    """Where step and loss stand in a ``csv``, ``jsonl`` or ``trainer_state``."""
    name: Line | None = None
    """Key in the authors' file; None: the run's name."""
    repeated: Literal["stop", "later"] = "stop"
    """A step that stands twice with different losses, or after a later one, is an error; ``later``
    takes it for a run that was resumed and keeps the later rows. With equal losses it counts
    once, always."""
    parameters: int | None = Field(default=None, ge=1)
    """Number of parameters, embeddings included, where it is known: what the scaling law
    (Fig. 22) takes for N."""
    note: Words = ""
    """What a reader has to know about the origin of the curve."""

    @model_validator(mode="before")
    @classmethod
    def _format_by_name(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("format") is not None:
            return values
        address = str(values.get("path") or values.get("url") or "")
        path = PurePosixPath(urlsplit(address).path if "://" in address else address)
        if path.name.lower() == "trainer_state.json":
            return {**values, "format": "trainer_state"}
        found = BY_SUFFIX.get(path.suffix.lower())
        return {**values, "format": found} if found else values

    @model_validator(mode="after")
    def _consistent(self) -> ImportedCurve:
        if (self.url is None) == (self.path is None):
            raise ValueError("give either url (with sha256) or path")
        if self.url is not None and self.sha256 is None:
            raise ValueError("url needs sha256, the digest of the file that is meant")
        if self.format is None:
            raise ValueError(
                "the file's name does not say its format; give format: csv, jsonl, "
                "trainer_state, log or authors"
            )
        if self.name is not None and self.format != "authors":
            raise ValueError("name is a key of the authors' file; leave it out of another format")
        if self.columns != Columns() and self.format in ("authors", "log"):
            raise ValueError(f"columns: format {self.format} has none; leave them out")
        return self


class Imported(Settings):
    """The imported curves of a suite."""

    defaults: dict[str, Any] = {}
    """Settings that they share (keys of an imported curve)."""
    runs: dict[Name, dict[str, Any]] = Field(min_length=1)
    """Curves by name, smallest model first; each gives what differs from ``defaults``."""
