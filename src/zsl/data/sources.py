"""Documents of the declared sources of text, one at a time."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from zsl.config.sources import DistributionSource, FileSource, HuggingFaceSource
from zsl.data.arrow import arrow_records, parquet_records
from zsl.data.csv_files import csv_records
from zsl.data.download import fetch_all
from zsl.data.fields import MissingFieldError, field_lines, record_text
from zsl.data.json_files import json_records, jsonl_records
from zsl.data.manifest import SourceFile
from zsl.data.passages import grouped
from zsl.data.patterns import Named, text_files
from zsl.data.records import Broken, format_of, plain_documents
from zsl.data.text_files import normal
from zsl.errors import DataError
from zsl.files import is_bomb, sha256

log = logging.getLogger(__name__)

TextSource = DistributionSource | FileSource | HuggingFaceSource
UNUSABLE = (MissingFieldError, UnicodeEncodeError, RecursionError)
"""Why a record has no text: other fields, half a character, or nested too deeply."""


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
            text = text_of(record, source)
        except UNUSABLE as error:
            reading.tell_broken(f"{where}: {error}")
            continue
        reading.count(text)
        yield text


def _grouped(source: TextSource, place: Place, reading: Reading) -> Iterator[str]:
    def pairs() -> Iterator[tuple[str, str]]:
        for where, record in _records(source, place, reading):
            try:
                value = group_of(record, source)
                text = text_of(record, source)
            except UNUSABLE as error:
                reading.tell_broken(f"{where}: {error}")
                continue
            reading.count(value + text)
            yield value.strip(), text.strip()

    yield from grouped(pairs(), place.scratch / "groups")


def text_of(record: Any, source: TextSource) -> str:
    """Text of a record, with normal line ends. Raises one of ``UNUSABLE`` where it has none."""
    text = normal(record if isinstance(record, str) else record_text(record, source.fields))
    text.encode()
    return text


def group_of(record: Any, source: TextSource) -> str:
    """The value that a record is grouped by. Raises one of ``UNUSABLE`` where it has none."""
    lines = field_lines(record, source.group_by or "")
    if not lines:
        raise MissingFieldError(f"field {source.group_by!r} is null, which is no group")
    value = normal("\n".join(lines))
    value.encode()
    return value


def _records(source: TextSource, place: Place, reading: Reading) -> Iterator[tuple[Where, Any]]:
    """Records with their places; a document of plain text is a ``str``."""
    if isinstance(source, HuggingFaceSource):
        check_fields(source, source.dataset)
        for number, record in enumerate(_hugging_face(source), 1):
            yield Where(source.dataset, f"{source.split} record", number), record
        return
    for origin, path in _files(source, place).items():
        size = path.stat().st_size
        reading.files.append(SourceFile(origin, size, sha256(path)))
        reading.stored += size
        yield from file_records(path, origin, source, reading.tell_broken)


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


def files_here(source: DistributionSource | FileSource, root: Path) -> Named:
    """Files of a source that need no download, by their origins. Raises DataError where a
    pattern names none."""
    if isinstance(source, FileSource):
        return text_files(root, source.paths, "the project's folder")
    installed = _distribution(source)
    where = f"{source.distribution} {installed.version}"
    found = text_files(Path(str(installed.locate_file(""))), source.files, where)
    files = {f"{where}: {name}": path for name, path in found.files.items()}
    return Named(files, found.left_out)


def _files(source: DistributionSource | FileSource, place: Place) -> dict[str, Path]:
    here = files_here(source, place.root)
    if here.left_out:
        kinds = Counter(Path(name).suffix or "no suffix" for name in here.left_out)
        log.warning(
            "%s: %d files in folders are of no format that is read, left out: %s",
            " ".join(source.paths if isinstance(source, FileSource) else source.files),
            len(here.left_out),
            ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common(10)),
        )
    if isinstance(source, DistributionSource) or not source.remote:
        return here.files
    fetched = fetch_all(source.remote, place.downloads, what=f"{len(source.remote)} text files")
    return here.files | {file.url: file.path for file in fetched}


def _distribution(source: DistributionSource) -> Any:
    try:
        return distribution(source.distribution)
    except PackageNotFoundError as error:
        raise DataError(
            f"distribution {source.distribution!r} is not installed in {sys.prefix}; install the "
            "pinned requirements, or correct the name"
        ) from error


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
