"""Text files as bytes: decompressed, with ``\\n`` for every line end, without a byte order mark.

A file of another encoding or kind is refused by what it is, before any of it is taken for text.
Memory is that of one line, which may have ``LONGEST`` bytes, whatever the file holds.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from zsl.errors import DataError
from zsl.foreign import what_begins

LONGEST = 1 << 24
"""Bytes of a line or a document; tokenising one takes a hundred times as much memory."""
PIECE = 1 << 18
"""Bytes read at once."""
FED = 1 << 11
"""Bytes of a .zst file decompressed at once: a block of four may come to 128 KiB."""
HEAD = 1 << 12
"""First bytes, by which a file is told from others."""
MARK = "\ufeff"
"""A byte order mark, which is no text."""
_NEWLINE = re.compile("\r\r?\n|\r")  # \r\r\n is what Windows makes of a \r\n written as text
_NEWLINE_BYTES = re.compile(b"\r\r?\n|\r")
_MARKED_LINE = re.compile(f"^{MARK}+", re.MULTILINE)
ENCODINGS = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
"""How files of other encodings begin."""


def normal(text: str) -> str:
    """Text with ``\\n`` for every line end (CR, CRLF) and no byte order mark before a line."""
    if "\r" in text:
        text = _NEWLINE.sub("\n", text)
    return _MARKED_LINE.sub("", text) if MARK in text else text


def lines(path: Path, name: str, compression: str) -> Iterator[bytes]:
    """Lines of a file with their line ends, which are ``\\n``.

    Raises DataError, naming file and line, where a line is longer than ``LONGEST``, and as
    :func:`open_text`.
    """
    number = 0
    with open_text(path, name, compression) as file:
        while line := file.readline(LONGEST + 1):
            number += 1
            if len(line) > LONGEST:
                raise too_long(f"{name}, line {number}")
            yield line


def open_text(path: Path, name: str, compression: str) -> BinaryIO:
    """Open a file for reading, decompressed, with ``\\n`` line ends and without a mark.

    Reading raises DataError, naming the file, where it is compressed and damaged or cut off, or
    is no UTF-8 text by its first bytes.
    """
    return _buffered(_text(path, name, compression))


def too_long(where: str) -> DataError:
    """The error for what would not fit memory as one document."""
    return DataError(
        f"{where}: longer than {LONGEST:,} bytes, which is no document that could be read as one; "
        "split it (documents: line or paragraph), or correct the file"
    )


def not_utf8(line: bytes, error: UnicodeDecodeError) -> str:
    """What is wrong with a line that cannot be decoded, with a guess at what it is."""
    around = line[max(0, error.start - 12) : error.start + 12]
    seen = around.decode("cp1252", errors="replace").strip()
    guess = ""
    if seen.isprintable() and "\ufffd" not in seen:
        guess = f"; in Windows-1252 it would read {seen!r}, then: iconv -f WINDOWS-1252 -t UTF-8"
    return f"not UTF-8 text (byte 0x{line[error.start]:02x}{guess})"


class _Pieces(io.RawIOBase):
    """A file of the bytes that an iterator gives."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _buffered(pieces: Iterator[bytes]) -> BinaryIO:
    return io.BufferedReader(_Pieces(pieces), PIECE)  # type: ignore[type-var,return-value]


def _text(path: Path, name: str, compression: str) -> Iterator[bytes]:
    line, held = 0, b""
    try:
        with path.open("rb") as stored, _decompressed(stored, compression) as file:
            piece = file.read(HEAD)
            _refuse_other_kinds(piece, name)
            piece = piece.removeprefix(MARK.encode())
            while piece:
                piece = held + piece
                kept = len(piece.rstrip(b"\r")) if piece.endswith(b"\r") else len(piece)
                kept = max(kept, len(piece) - 2)  # the line end may go on in the next piece
                piece, held = piece[:kept], piece[kept:]
                if b"\r" in piece:
                    piece = _NEWLINE_BYTES.sub(b"\n", piece)
                line += piece.count(b"\n")
                yield piece
                piece = file.read(PIECE)
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise DataError(
            f"{name}: compressed data is damaged after line {line} ({error}); "
            "get the file again and check its digest"
        ) from error
    yield _NEWLINE_BYTES.sub(b"\n", held)


def _decompressed(file: BinaryIO, compression: str) -> BinaryIO:
    if compression == ".gz":
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    return _buffered(_frames(file)) if compression == ".zst" else file


def _frames(file: BinaryIO) -> Iterator[bytes]:
    """Decompressed bytes of a .zst file; unlike zstandard's own reader, a file that ends in the
    middle of a frame is an error."""
    frame: Any = None
    rest = b""
    while rest := rest or file.read(FED):
        frame = frame or zstandard.ZstdDecompressor().decompressobj()
        yield frame.decompress(rest)
        rest = b""
        if frame.eof:
            rest, frame = frame.unused_data, None
    if frame is not None:
        raise EOFError("the file ends in the middle of a compressed frame")


def _refuse_other_kinds(head: bytes, name: str) -> None:
    for start, encoding in ENCODINGS.items():
        if head.startswith(start):
            begins = start.hex(" ").upper()
            raise _encoded(name, encoding, f"it begins with the mark {begins}")
    if not head.lstrip().startswith(b"<") and (kind := what_begins(head)):  # a page is text
        raise DataError(f"{name}: not text but {kind}")
    even, odd = head[::2].count(0), head[1::2].count(0)
    if even + odd > len(head) // 4:
        if even > len(head) // 4 and odd > len(head) // 4:
            raise DataError(f"{name}: NUL bytes in place of text; get the file again")
        encoding = "UTF-16LE" if odd > even else "UTF-16BE"
        raise _encoded(name, encoding, "half of its bytes are NUL")


def _encoded(name: str, encoding: str, seen: str) -> DataError:
    return DataError(
        f"{name}: not UTF-8 text but {encoding} ({seen}); convert it: "
        f"iconv -f {encoding} -t UTF-8 FILE > NEW"
    )
