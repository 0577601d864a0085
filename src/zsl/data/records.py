"""Records of text files: JSONL, Arrow and plain text, plain or compressed, one at a time.

Memory is that of one record, which may have ``LONGEST`` bytes, whatever the file holds.

Everything here yields ``(number, value)`` with the record's number counted from 1, so that an
error can name file and line.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from zsl.errors import DataError

Broken = Callable[[str], None]
"""Told of each record that cannot be read; raises, or counts and returns."""

FORMATS = (".txt", ".jsonl", ".json", ".arrow")
COMPRESSED = (".gz", ".zst")
LONGEST = 1 << 24
"""Bytes of a line or a document; tokenising one takes a hundred times as much memory."""
FED = 1 << 11
"""Bytes of a .zst file decompressed at once: a block of four may come to 128 KiB."""


def format_of(name: str) -> tuple[str, str]:
    """Format and compression of a file by its suffixes, such as ``(".jsonl", ".gz")``.

    Raises DataError for a suffix that is not read.
    """
    suffixes = Path(name).suffixes
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSED else ""
    kind = suffixes[-1] if suffixes else ""
    if kind not in FORMATS or (kind == ".arrow" and compression):
        raise DataError(
            f"{name}: cannot tell how to read a file with this suffix; expected one of "
            f"{' '.join(FORMATS)}, all but .arrow also with {' or '.join(COMPRESSED)}; "
            "convert the file or narrow the pattern that names it"
        )
    return (".jsonl" if kind == ".json" else kind), compression


class _ZstdReader(io.RawIOBase):
    """Decompressed bytes of a .zst file; unlike zstandard's own reader, a file that ends in the
    middle of a frame is an error."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._frame: Any = None
        self._input = b""
        self._output = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._output:
            self._input = self._input or self._file.read(FED)
            if not self._input:
                if self._frame is not None:
                    raise EOFError("the file ends in the middle of a compressed frame")
                return 0
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._output = memoryview(self._frame.decompress(self._input))
            self._input = b""
            if self._frame.eof:
                self._input, self._frame = self._frame.unused_data, None
        count = min(len(buffer), len(self._output))
        buffer[:count] = self._output[:count]
        self._output = self._output[count:]
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def open_bytes(path: Path, compression: str) -> BinaryIO:
    """Open a file for reading, decompressed."""
    if compression == ".gz":
        return gzip.open(path)  # type: ignore[return-value]
    if compression == ".zst":
        return io.BufferedReader(_ZstdReader(path.open("rb")), 1 << 18)  # type: ignore[type-var,return-value]
    return path.open("rb")


def lines(path: Path, name: str, compression: str) -> Iterator[bytes]:
    """Lines of a file with their line ends.

    Raises DataError, naming file and line, where a compressed file is damaged or cut off, or a
    line is longer than ``LONGEST``.
    """
    number = 0
    try:
        with open_bytes(path, compression) as file:
            while line := file.readline(LONGEST + 1):
                number += 1
                if len(line) > LONGEST:
                    raise _too_long(f"{name}, line {number}")
                yield line
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise DataError(
            f"{name}: compressed data is damaged after line {number} ({error}); "
            "get the file again and check its digest"
        ) from error


def _too_long(where: str) -> DataError:
    return DataError(
        f"{where}: longer than {LONGEST:,} bytes, which is no document that could be read as one; "
        "split it (documents: line or paragraph), or correct the file"
    )


def jsonl_records(
    path: Path, name: str, compression: str, broken: Broken
) -> Iterator[tuple[int, Any]]:
    """Records of a JSON-lines file with their line numbers; blank lines are passed over."""
    for number, line in enumerate(lines(path, name, compression), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            broken(f"{name}, line {number}: not a JSON record ({error})")
            continue
        yield number, record


def plain_documents(
    path: Path, name: str, compression: str, documents: str, broken: Broken
) -> Iterator[tuple[int, str]]:
    """Documents of plain text with the number of their first line.

    ``documents`` is ``line``, ``paragraph`` (separated by blank lines) or ``file``.
    """
    gathered: list[str] = []
    first, size = 1, 0
    for number, line in enumerate(lines(path, name, compression), 1):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            broken(f"{name}, line {number}: not UTF-8 text ({error})")
            continue
        ends = documents == "line" or (documents == "paragraph" and not text.strip())
        if ends and gathered:
            yield first, "".join(gathered)
            gathered = []
        if not gathered:
            first, size = number, 0
        gathered.append(text)
        size += len(line)
        if size > LONGEST:
            raise _too_long(f"{name}, {documents} that begins in line {first}")
    if gathered:
        yield first, "".join(gathered)
