"""Records of CSV and TSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from zsl.data.fields import named
from zsl.data.records import Broken
from zsl.data.text_files import LONGEST, lines, not_utf8, too_long
from zsl.errors import DataError

SEPARATORS = {".csv": ",;\t", ".tsv": "\t,;"}
"""Of columns, by format; the first at which the header has the wanted columns is the file's."""


def csv_records(
    path: Path, name: str, compression: str, kind: str, columns: list[str], broken: Broken
) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Records of a CSV file (RFC 4180) with their line numbers, reading only ``columns``.

    The first line names the columns. A quoted cell may hold line ends and doubled quotes; an
    empty one is None. Raises DataError where the header lacks a column.
    """
    csv.field_size_limit(LONGEST)
    text = _Lines(path, name, compression)
    header, separator = _header(text, name, kind, columns)
    places = {column: header.index(column) for column in columns} if header else {}
    rows = csv.reader(text, delimiter=separator, strict=True)
    while True:
        text.begin()
        try:
            row = next(rows, None)
        except csv.Error as error:
            broken(
                f"{name}, line {text.first}: no row of {kind[1:].upper()} ({error}); cells with "
                "quotes, separators or line ends stand in quotes, and quotes in them are doubled"
            )
            continue
        except UnicodeDecodeError as error:
            broken(f"{name}, line {text.number}: {not_utf8(error.object, error)}")
            continue
        if row is None:
            return
        if not row:
            continue
        if len(row) != len(header):
            broken(f"{name}, line {text.first}: {len(row)} cells, but the header has {len(header)}")
            continue
        yield text.first, {column: row[place] or None for column, place in places.items()}


def _header(text: _Lines, name: str, kind: str, columns: list[str]) -> tuple[list[str], str]:
    """Names of the columns, and what separates them; no names in a file that is empty."""
    try:
        line = next((line for line in text if line.strip()), "")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}, line {text.number}: {not_utf8(error.object, error)}") from None
    for separator in SEPARATORS[kind]:
        try:
            header = next(csv.reader([line], delimiter=separator, strict=True), [])
        except csv.Error:
            continue
        if not header or set(columns) <= {*header}:
            return header, separator
    missing = ", ".join(columns)
    there = named(next(csv.reader([line], delimiter=SEPARATORS[kind][0])))
    raise DataError(
        f"{name}, line 1: no columns {missing}; the first line, which names them, has {there}; "
        "correct fields, or give the file a header"
    )


class _Lines(Iterator[str]):
    """Lines of a file, counted, of which those of one row are no longer than a document."""

    def __init__(self, path: Path, name: str, compression: str) -> None:
        self._lines = lines(path, name, compression)
        self._name = name
        self.number = 0
        self.begin()

    def begin(self) -> None:
        """A row begins in the next line."""
        self.first, self._size = self.number + 1, 0

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self._size += len(line)
        if self._size > LONGEST:
            raise too_long(f"{self._name}, row that begins in line {self.first}")
        return line.decode()
