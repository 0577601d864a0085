"""Records of JSON files: one a line, an array of them, or written over several lines."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from zsl.data.records import Broken
from zsl.data.text_files import LONGEST, lines, not_utf8, open_text
from zsl.errors import DataError

_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\n]*")
_PIECE = 1 << 16
_SHAPES = "expected one a line; arrays and records over several lines are read in files named .json"
NOT_JSON = (ValueError, RecursionError)
"""What the decoder raises: wrong text, numbers with too many digits, values nested too deeply."""


def jsonl_records(
    path: Path, name: str, compression: str, broken: Broken
) -> Iterator[tuple[int, Any]]:
    """Records of a JSON-lines file with their line numbers; blank lines are passed over."""
    for number, line in enumerate(lines(path, name, compression), 1):
        if not line.strip():
            continue
        try:
            record = _DECODER.decode(line.decode())
        except UnicodeDecodeError as error:
            broken(f"{name}, line {number}: not a JSON record but {not_utf8(line, error)}")
        except NOT_JSON as error:
            broken(f"{name}, line {number}: not a JSON record ({error}); {_SHAPES}")
        else:
            if isinstance(record, list):
                broken(f"{name}, line {number}: a JSON array, no record; {_SHAPES}")
            else:
                yield number, record


def json_records(
    path: Path, name: str, compression: str, broken: Broken
) -> Iterator[tuple[int, Any]]:
    """Records of a .json file, with the lines in which they begin.

    They are JSON lines; or the elements of an array; or values one after the other, of any number
    of lines; or the rows of one object that is a table by columns, as pandas and Hugging Face's
    ``datasets`` read one: its values are lists of one length, or all have the keys 0, 1, ….

    What is not JSON in a file that is not JSON lines raises DataError: no one can say where the
    next record begins.
    """
    first = _first_line(path, name, compression)
    if first.startswith(b"[") or not _is_json(first):
        read = _values(path, name, compression)
    else:
        read = jsonl_records(path, name, compression, broken)
    begin = [*islice(read, 2)]
    if len(begin) == 1 and (rows := _rows(begin[0][1])) is not None:
        yield from ((begin[0][0], row) for row in rows)
    else:
        yield from chain(begin, read)


def _first_line(path: Path, name: str, compression: str) -> bytes:
    """The first line that is not blank, as far as it may be one record."""
    with open_text(path, name, compression) as file:
        while line := file.readline(LONGEST):
            if line.strip():
                return line.lstrip()
    return b""


def _is_json(line: bytes) -> bool:
    try:
        _DECODER.decode(line.decode())
    except NOT_JSON:
        return False
    return True


def _rows(value: Any) -> list[dict[str, Any]] | None:
    """Rows of a table by columns; None for another value."""
    if not isinstance(value, dict):
        return None
    columns = [_column(column) for column in value.values()]
    if None in columns or len({len(column or []) for column in columns}) != 1:
        return None
    return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]  # type: ignore[arg-type]


def _column(value: Any) -> list[Any] | None:
    if isinstance(value, dict) and value and all(key.isdecimal() for key in value):
        return [*value.values()]
    return value if isinstance(value, list) else None


def _values(path: Path, name: str, compression: str) -> Iterator[tuple[int, Any]]:
    """Elements of an array, or values one after the other."""
    with open_text(path, name, compression) as file:
        text = _Text(file, name)
        if text.next() != "[":
            while text.next():
                yield text.line, text.value()
            return
        text.take("[")
        end = text.next() == "]"
        while not end:
            text.next()
            yield text.line, text.value()
            end = text.next() == "]"
            if not end:
                text.take(",")
        text.take("]")
        text.take("")


class _Text:
    """Text of a file from which values of JSON are taken, read as far as that needs."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.line = 1
        """Line of what is next."""
        self._file = file
        self._name = name
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._read, self._place = "", 0

    def next(self) -> str:
        """The next character that is not blank; empty at the end."""
        while True:
            self._pass(_BLANK.match(self._read, self._place).end())  # type: ignore[union-attr]
            if self._waiting:
                return self._read[self._place]
            if not self._more():
                return ""

    def take(self, expected: str) -> None:
        """Go past what has to be next. Raises DataError where it is something else."""
        found = self.next()
        if found != expected:
            there = repr(found) if found else "the end"
            raise DataError(
                f"{self._name}, line {self.line}: not JSON (expected "
                f"{repr(expected) if expected else 'nothing more'}, found {there}); correct the "
                "file or get it again"
            )
        self._place += len(expected)

    def value(self) -> Any:
        """The value that begins here. Raises DataError where there is none, or a longer one than
        ``LONGEST``."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._read, self._place)
            except NOT_JSON as error:
                lines = self._read.count("\n", self._place, getattr(error, "pos", self._place))
                goes_on = isinstance(error, ValueError) and self._waiting <= LONGEST
                if not (goes_on and self._more()):
                    raise self._no_value(getattr(error, "msg", str(error)), lines) from None
                continue
            length = end - self._place
            if length > LONGEST:
                raise self._no_value("too long", 0)
            if end < len(self._read) or not self._more():  # a number may go on, too
                self._pass(self._place + length)
                return value

    @property
    def _waiting(self) -> int:
        return len(self._read) - self._place

    def _pass(self, place: int) -> None:
        """Go on to a place in what is read, and count its lines."""
        self.line += self._read.count("\n", self._place, place)
        self._place = place

    def _more(self) -> bool:
        """Read as much again as is waiting; whether there was anything."""
        waiting = self._read[self._place :]
        data = self._file.read(max(_PIECE, len(waiting)))
        try:
            self._read, self._place = waiting + self._decoder.decode(data, final=not data), 0
        except UnicodeDecodeError as error:
            line = self.line + waiting.count("\n") + error.object[: error.start].count(b"\n")
            raise DataError(
                f"{self._name}, line {line}: not a JSON record but {not_utf8(error.object, error)}"
            ) from None
        return bool(data)

    def _no_value(self, said: str, lines: int) -> DataError:
        return DataError(
            f"{self._name}, line {self.line + lines}: not a JSON record ({said}), or one longer "
            f"than {LONGEST:,} bytes; correct the file, or write one record a line in a file .jsonl"
        )
