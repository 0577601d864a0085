"""Records of one file of a source, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zsl.config.sources import DistributionSource, FileSource, HuggingFaceSource
from zsl.data.arrow import arrow_records
from zsl.data.csv_files import csv_records
from zsl.data.json_files import json_records, jsonl_records
from zsl.data.parquet import parquet_records
from zsl.data.records import Broken, format_of, plain_documents
from zsl.errors import DataError

TextSource = DistributionSource | FileSource | HuggingFaceSource


class Where:
    """Place of a record, written out only when an error needs it."""

    def __init__(self, name: str, unit: str, number: int) -> None:
        self._parts = (name, unit, number)

    def __str__(self) -> str:
        return "{}, {} {}".format(*self._parts)


def file_records(
    path: Path, origin: str, source: DistributionSource | FileSource, broken: Broken
) -> Iterator[tuple[Where, Any]]:
    """Records of one file of a source with their places; a ``str`` is a document.

    Raises DataError for a file that cannot be read.
    """
    kind, compression = format_of(origin)
    named = [*source.fields, *([source.group_by] if source.group_by else [])]
    # A dotted name is that of a column, or leads into one.
    columns = list(dict.fromkeys([*named, *(name.split(".")[0] for name in named)]))
    found: Iterator[tuple[int, Any]]
    match kind:
        case ".txt":
            made = source.documents if isinstance(source, FileSource) else "paragraph"
            found = plain_documents(path, origin, compression, made, broken)
        case ".jsonl":
            found = jsonl_records(path, origin, compression, broken)
        case ".json":
            found = json_records(path, origin, compression, broken)
        case ".csv" | ".tsv":
            check_fields(source, origin)
            found = csv_records(path, origin, compression, kind, named, broken)
        case ".parquet":
            check_fields(source, origin)
            found = parquet_records(path, origin, columns)
        case _:
            check_fields(source, origin)
            found = arrow_records(path, origin, columns)
    unit = "row" if kind in (".arrow", ".parquet") else "line"
    for number, record in found:
        if not isinstance(record, str):
            check_fields(source, origin)
        yield Where(origin, unit, number), record


def check_fields(source: TextSource, name: str) -> None:
    """Raise DataError where a source of records does not say which fields are text."""
    if not source.fields:
        raise DataError(
            f"{name}: the source names no fields, so it is not known which part of a record is "
            "text; give fields, such as [text]"
        )
