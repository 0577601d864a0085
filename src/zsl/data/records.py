"""Formats of text files by their names, and documents of plain text.

Everything that reads a file yields ``(number, value)`` with the number of the line or row where
the value begins, counted from 1, so that an error can name file and place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from zsl.data.text_files import LONGEST, lines, not_utf8, too_long
from zsl.errors import DataError

Broken = Callable[[str], None]
"""Told of each record that cannot be read; raises, or counts and returns."""

PLAIN, JSON_LINES = ".txt", ".jsonl"
FORMATS = {
    ".txt": PLAIN,
    ".text": PLAIN,
    ".md": PLAIN,
    ".jsonl": JSON_LINES,
    ".ndjson": JSON_LINES,
    ".json": ".json",
    ".csv": ".csv",
    ".tsv": ".tsv",
    ".parquet": ".parquet",
    ".arrow": ".arrow",
}
"""Suffixes that are read, in any case, and the formats that they stand for."""
COMPRESSED = (".gz", ".zst")
BINARY = (".parquet", ".arrow")
"""Formats that are not compressed as a whole."""


def format_of(name: str) -> tuple[str, str]:
    """Format and compression of a file or address by its suffixes: ``(".jsonl", ".gz")``.

    Raises DataError for a suffix that is not read.
    """
    path = urlsplit(name).path if "://" in name else name
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSED else ""
    kind = FORMATS.get(suffixes[-1] if suffixes else "", "")
    if not kind or (kind in BINARY and compression):
        raise DataError(
            f"{name}: cannot tell how to read a file with this suffix; expected one of "
            f"{' '.join(FORMATS)}, all but {' and '.join(BINARY)} also with "
            f"{' or '.join(COMPRESSED)}; convert the file or narrow the pattern that names it"
        )
    return kind, compression


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
            broken(f"{name}, line {number}: {not_utf8(line, error)}")
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
            raise too_long(f"{name}, {documents} that begins in line {first}")
    if gathered:
        yield first, "".join(gathered)
