"""Documents of the declared sources of text, one at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from zsl.config.sources import DistributionSource, FileSource, HuggingFaceSource
from zsl.data import records
from zsl.data.arrow import arrow_records
from zsl.data.download import fetch_all
from zsl.data.fields import MissingFieldError, field_lines, record_text
from zsl.data.grouping import grouped
from zsl.data.manifest import SourceFile
from zsl.data.patterns import matching
from zsl.errors import DataError
from zsl.files import is_bomb, sha256

UNUSABLE = (MissingFieldError, UnicodeEncodeError, RecursionError)
"""Why a record has no text: other fields, half a character, or nested too deeply."""
TextSource = DistributionSource | FileSource | HuggingFaceSource


@dataclass(frozen=True)
class Place:
    """Where files are found and kept."""

    root: Path
    """The project's root, to which local paths are relative."""
    downloads: Path
    """Folder of fetched files, kept between jobs."""
    scratch: Path
    """Folder for files of this job."""


@dataclass
class Reading:
    """What reading one source came to."""

    origin: str
    files: list[SourceFile] = field(default_factory=list)
    stop_at_broken: bool = True
    broken: int = 0
    """Records that could not be read, skipped."""
    empty: int = 0
    """Documents without any text, skipped."""
    stored: int = 0
    """Bytes of the files that were opened so far."""
    characters: int = 0
    """Characters of the records that were read from them."""

    def tell_broken(self, message: str) -> None:
        """Raise DataError for a record that cannot be read, or count it."""
        if self.stop_at_broken:
            raise DataError(
                f"{message}; correct the file, or set broken_records: skip to leave such "
                "records out and count them"
            )
        self.broken += 1

    def count(self, text: str) -> None:
        """Count a record. Raises DataError where files hold far more text than they have bytes
        for: decompression bombs would fill the disk."""
        self.characters += len(text)
        if self.files and is_bomb(self.characters, self.stored):
            raise DataError(
                f"{self.files[-1].origin}: holds {self.characters:,} characters in so few bytes "
                "that they are no text (a decompression bomb?); give another file"
            )


@dataclass(frozen=True)
class _File:
    path: Path
    origin: str


def origin_of(source: TextSource) -> str:
    """What a source is, for people: one line without paths of this machine."""
    if isinstance(source, DistributionSource):
        return f"{source.distribution} {_distribution(source).version}: {' '.join(source.files)}"
    if isinstance(source, HuggingFaceSource):
        parts = [source.dataset, source.name, source.split, f"at {source.revision}"]
        return "Hugging Face: " + " ".join(part for part in parts if part)
    return " ".join([*source.paths, *(remote.url for remote in source.remote)])


def documents(source: TextSource, place: Place, reading: Reading) -> Iterator[str]:
    """Documents of a source in order, stripped, without empty ones; fills ``reading``.

    Raises DataError, naming file and record, for files that are missing or cannot be read.
    """
    texts = _grouped(source, place, reading) if source.group_by else _single(source, place, reading)
    for text in texts:
        stripped = text.strip()
        if stripped:
            yield stripped
        else:
            reading.empty += 1


def _single(source: TextSource, place: Place, reading: Reading) -> Iterator[str]:
    for where, record in _records(source, place, reading):
        try:
            text = record if isinstance(record, str) else record_text(record, source.fields)
            text.encode()
        except UNUSABLE as error:
            reading.tell_broken(f"{where}: {error}")
            continue
        reading.count(text)
        yield text


def _grouped(source: TextSource, place: Place, reading: Reading) -> Iterator[str]:
    def pairs() -> Iterator[tuple[str, str]]:
        for where, record in _records(source, place, reading):
            try:
                value = "\n".join(field_lines(record, source.group_by or ""))
                text = record_text(record, source.fields)
                (value + text).encode()
            except UNUSABLE as error:
                reading.tell_broken(f"{where}: {error}")
                continue
            reading.count(value + text)
            yield value.strip(), text.strip()

    yield from grouped(pairs(), place.scratch / "groups")


class _Where:
    """Place of a record, written out only when an error needs it."""

    def __init__(self, name: str, unit: str, number: int) -> None:
        self._parts = (name, unit, number)

    def __str__(self) -> str:
        return "{}, {} {}".format(*self._parts)


def _records(source: TextSource, place: Place, reading: Reading) -> Iterator[tuple[_Where, Any]]:
    """Records with their places; a document of plain text is a ``str``."""
    if isinstance(source, HuggingFaceSource):
        _check_fields(source, source.dataset)
        for number, record in enumerate(_hugging_face(source), 1):
            yield _Where(source.dataset, f"{source.split} record", number), record
        return
    unit = source.documents if isinstance(source, FileSource) else "paragraph"
    for file in _files(source, place):
        kind, compression = records.format_of(file.origin)
        size = file.path.stat().st_size
        reading.files.append(SourceFile(file.origin, size, sha256(file.path)))
        reading.stored += size
        broken = reading.tell_broken
        if kind == ".txt":
            found: Any = records.plain_documents(file.path, file.origin, compression, unit, broken)
        elif kind == ".jsonl":
            _check_fields(source, file.origin)
            found = records.jsonl_records(file.path, file.origin, compression, broken)
        else:
            _check_fields(source, file.origin)
            named = [*source.fields, *([source.group_by] if source.group_by else [])]
            columns = list(dict.fromkeys(name.split(".")[0] for name in named))
            found = arrow_records(file.path, file.origin, columns)
        for number, record in found:
            yield _Where(file.origin, "row" if kind == ".arrow" else "line", number), record


def _check_fields(source: TextSource, name: str) -> None:
    if not source.fields:
        raise DataError(
            f"{name}: the source names no fields, so it is not known which part of a record is "
            "text; give fields, such as [text]"
        )


def _files(source: DistributionSource | FileSource, place: Place) -> list[_File]:
    if isinstance(source, DistributionSource):
        installed = _distribution(source)
        base = Path(str(installed.locate_file("")))
        where = f"{source.distribution} {installed.version}"
        return [
            _File(base / name, f"{where}: {name}") for name in _globs(base, source.files, where)
        ]
    here = [
        _File(place.root / name, name)
        for name in _globs(place.root, source.paths, "the project's folder")
    ]
    what = f"{len(source.remote)} text files"
    fetched = fetch_all(source.remote, place.downloads, what=what) if source.remote else []
    return here + [_File(file.path, file.url) for file in fetched]


def _distribution(source: DistributionSource) -> Any:
    try:
        return distribution(source.distribution)
    except PackageNotFoundError as error:
        raise DataError(
            f"distribution {source.distribution!r} is not installed in {sys.prefix}; install the "
            "pinned requirements, or correct the name"
        ) from error


def _globs(base: Path, patterns: list[str], where: str) -> list[str]:
    """Files below ``base`` that match, relative to it: each pattern sorted, each file once."""
    names: dict[str, None] = {}
    for pattern in patterns:
        if Path(pattern).is_absolute():
            raise DataError(f"pattern {pattern!r} is absolute; write it relative to {where}")
        found = [path.relative_to(base).as_posix() for path in matching(base, pattern)]
        if not found:
            raise DataError(
                f"pattern {pattern!r} matches no file in {where}; correct the pattern or put the "
                "files there"
            )
        names.update(dict.fromkeys(found))
    return list(names)


def _hugging_face(source: HuggingFaceSource) -> Iterator[Any]:
    """Records of a dataset, streamed."""
    import datasets  # slow to import, and needed for this kind of source only

    what = f"dataset {source.dataset} at revision {source.revision}"
    try:
        stream = datasets.load_dataset(
            source.dataset,
            source.name,
            split=source.split,
            revision=source.revision,
            streaming=True,
        )
        if source.max_documents is not None:
            stream = stream.take(source.max_documents)
        yield from stream
    except Exception as error:  # whatever the library and its readers of many formats raise
        raise DataError(
            f"{what}: {type(error).__name__}: {error}; check dataset, name, split and revision, "
            "and the network; gated datasets need a login with the huggingface_hub client"
        ) from error
