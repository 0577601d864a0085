"""The files that others keep their loss curves in, row by row as they stand there."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zsl.config.imported import Columns, ImportedCurve
from zsl.errors import BrokenFileError, ZslError
from zsl.files import parse_json, read_json, read_limited
from zsl.study import LARGEST_CSV

Row = tuple[int, Any, Any]
"""Place, step and loss as they stand in the file; None or nothing where there is none."""

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
"""Colours of a terminal."""
STEP = re.compile(r"\[step=(\d+)/|\biter (\d+):|\biteration:? +(\d+) ?/")
"""What OLMo, nanoGPT, and Megatron-LM and nanotron print before a step's losses."""
LOSS = re.compile(r"\btrain/CrossEntropyLoss=(\S+)|\biter \d+: loss ([^\s,]+)|\blm[ _]loss: (\S+)")
"""What they print of its train loss; nanoGPT's means over batches (``step 250: train loss``) are
of other data."""


@dataclass(frozen=True)
class Logged:
    """The rows of a file."""

    rows: Iterator[Row]
    """In the order of the file."""
    place: str
    """What the first number of a row counts, for errors."""
    decimal: str = "."
    """What stands before the decimals of a number."""
    means: bool = False
    """Whether a loss is a mean over the steps since the row before."""


def read_rows(path: Path, source: ImportedCurve, name: str) -> Logged:
    """The rows of a curve's file, ``name`` being the key in the authors' file.

    Rows are read as they are asked for. Raises ZslError, then or here, where the file is not of
    the declared format.
    """
    if source.format == "authors":
        return Logged(_authors(path, name), "point")
    if source.format == "trainer_state":
        history = _log_history(path)
        return Logged(_records(enumerate(history, 1), path, source.columns), "entry", means=True)
    lines = _lines(path)
    if source.format == "jsonl":
        return Logged(_records(_json_lines(lines, path), path, source.columns), "line")
    if source.format == "csv":
        delimiter = _delimiter(lines)
        rows = _table(lines, path, source.columns, delimiter)
        return Logged(rows, "line", "," if delimiter == ";" else ".")
    return Logged(_log(lines, path), "line")


def authors_models(path: Path) -> dict[str, Any]:
    """The curves of the authors' file by the names of models. Raises ZslError where it is none."""
    models = read_json(path)
    if not isinstance(models, dict):
        raise ZslError(f"{path}: expected curves by the names of models; get the file again")
    return models


def _authors(path: Path, name: str) -> Iterator[Row]:
    models = authors_models(path)
    if name not in models:
        known = ", ".join(str(key)[:40] for key in [*models][:20])
        raise ZslError(f"{path}: holds no model {name!r}; it has {known}")
    try:
        curve = models[name]["smoothed_loss"]
        yield from zip(range(1, len(curve["x"]) + 1), curve["x"], curve["y"], strict=True)
    except (LookupError, TypeError, ValueError) as error:
        raise ZslError(
            f"{path}: {name}: no smoothed_loss with as many x as y: {str(error)[:100]}"
        ) from None


def _log_history(path: Path) -> list[Any]:
    state = read_json(path)
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(history, list):
        raise BrokenFileError(f"{path}: has no log_history; expected transformers' trainer state")
    return history


def _lines(path: Path) -> io.TextIOWrapper:
    """The lines of a text in UTF-8 or, if it begins as such, UTF-16, whatever ends them."""
    data = read_limited(path, LARGEST_CSV)
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if wide else "utf-8-sig"
    lines = io.TextIOWrapper(io.BytesIO(data), encoding=encoding, newline="")
    try:
        for _ in lines:
            pass
    except UnicodeDecodeError as error:
        raise BrokenFileError(
            f"{path}: not text in {'UTF-16' if wide else 'UTF-8'} ({error.reason}); unpack it, or "
            "save it as UTF-8"
        ) from None
    lines.seek(0)
    return lines


def _json_lines(lines: io.TextIOWrapper, path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, parse_json(line.encode(errors="replace"), f"{path}, line {number}")


def _records(records: Any, path: Path, columns: Columns) -> Iterator[Row]:
    """Those that have a loss: others are of evaluations, or sum a run up."""
    keys: dict[str, None] = {}
    found = False
    for place, record in records:
        if not isinstance(record, dict):
            raise BrokenFileError(f"{path}, record {place}: expected keys and values")
        if columns.loss in record:
            found = True
            yield place, record.get(columns.step), record[columns.loss]
        elif not found and len(keys) < 100:
            keys |= dict.fromkeys(record)
    if not found:
        raise BrokenFileError(_no_column(path, columns.loss, "loss", [*keys]))


def _delimiter(lines: io.TextIOWrapper) -> str:
    first = next((line for line in lines if line.strip()), "")
    lines.seek(0)
    return max(",;\t", key=re.sub(r'"[^"]*"', "", first).count)


def _table(text: io.TextIOWrapper, path: Path, columns: Columns, delimiter: str) -> Iterator[Row]:
    lines = csv.reader(text, delimiter=delimiter, skipinitialspace=True)
    try:
        headings = next((cells for cells in lines if cells), [])
        step, loss = (
            _column(headings, getattr(columns, which), which, path) for which in ("step", "loss")
        )
        for cells in lines:
            if cells == headings:
                continue  # written again when the run was resumed
            if len(cells) != len(headings) and any(cells):
                raise BrokenFileError(
                    f"{path}, line {lines.line_num}: has {len(cells)} columns, the first line "
                    f"{len(headings)}; complete the line or remove it"
                )
            if cells:
                yield lines.line_num, cells[step], cells[loss]
    except csv.Error as error:
        raise BrokenFileError(f"{path}, line {lines.line_num}: not CSV: {error}") from None


def _column(headings: list[str], name: str, which: str, path: Path) -> int:
    if headings.count(name) > 1:
        raise BrokenFileError(f"{path}: has {headings.count(name)} columns {name!r}; rename one")
    if name not in headings:
        raise BrokenFileError(_no_column(path, name, which, headings))
    return headings.index(name)


def _no_column(path: Path, name: str, which: str, known: list[str]) -> str:
    shown = ", ".join(repr(str(key)[:60]) for key in known[:20]) or "none"
    return f"{path}: has no column {name!r}; name one of these in columns.{which}: {shown}"


def _log(lines: io.TextIOWrapper, path: Path) -> Iterator[Row]:
    step = None
    found = False
    for number, coloured in enumerate(lines, 1):
        line = ESCAPES.sub("", coloured)
        if match := STEP.search(line):
            step = match[match.lastindex or 0]
        if (match := LOSS.search(line)) and step is not None:
            found = True
            yield number, step, match[match.lastindex or 0]
            step = None
    if not found:
        raise BrokenFileError(
            f"{path}: no train losses as OLMo, nanoGPT, Megatron-LM or nanotron print them; "
            "write them as CSV"
        )
