"""Records of text files: JSONL, Arrow and plain text, plain or compressed, one at a time.

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

import pyarrow as pa
import zstandard

from zsl.errors import DataError

Broken = Callable[[str], None]
"""Told of each record that cannot be read; raises, or counts and returns."""

FORMATS = (".txt", ".jsonl", ".json", ".arrow")
COMPRESSED = (".gz", ".zst")


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
        self._output = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._output:
            self._input = self._input or self._file.read(1 << 17)
            if not self._input:
                if self._frame is not None:
                    raise EOFError("the file ends in the middle of a compressed frame")
                return 0
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._output = self._frame.decompress(self._input)
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

    Raises DataError, naming file and line, where a compressed file is damaged or cut off.
    """
    number = 0
    try:
        with open_bytes(path, compression) as file:
            for line in file:
                number += 1
                yield line
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise DataError(
            f"{name}: compressed data is damaged after line {number} ({error}); "
            "get the file again and check its digest"
        ) from error


def jsonl_records(
    path: Path, name: str, compression: str, broken: Broken
) -> Iterator[tuple[int, Any]]:
    """Records of a JSON-lines file with their line numbers; blank lines are passed over."""
    for number, line in enumerate(lines(path, name, compression), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            broken(f"{name}, line {number}: not a JSON record ({error})")
            continue
        yield number, record


def arrow_records(path: Path, name: str, columns: list[str]) -> Iterator[tuple[int, Any]]:
    """Records of an Arrow file or stream with their row numbers, reading only ``columns``.

    A column the file does not have is left out of its records. Raises DataError for a file
    that is not Arrow or is cut off.
    """
    number = 0
    try:
        with pa.memory_map(str(path)) as source:
            for batch in _arrow_batches(source):
                present = [column for column in columns if column in batch.schema.names]
                wanted = batch.select(present)
                for row in range(0, wanted.num_rows, 1024):
                    for record in wanted.slice(row, 1024).to_pylist():
                        number += 1
                        yield number, record
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{name}: not a whole Arrow file (after row {number}: {error}); get the file again"
        ) from error


def _arrow_batches(source: Any) -> Iterator[Any]:
    magic = source.read(6)
    source.seek(0)
    if magic == b"ARROW1":
        reader = pa.ipc.open_file(source)
        yield from (reader.get_batch(index) for index in range(reader.num_record_batches))
    else:
        yield from pa.ipc.open_stream(source)


def plain_documents(
    path: Path, name: str, compression: str, documents: str, broken: Broken
) -> Iterator[tuple[int, str]]:
    """Documents of plain text with the number of their first line.

    ``documents`` is ``line``, ``paragraph`` (separated by blank lines) or ``file``.
    """
    gathered: list[str] = []
    first = 1
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
            first = number
        gathered.append(text)
    if gathered:
        yield first, "".join(gathered)
