"""Whether the texts that a configuration declares are there, before anything is made of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zsl.config.schema import Corpus, Experiment
from zsl.config.sources import DistributionSource, FileSource
from zsl.data.budget import declaration_digest
from zsl.data.manifest import read_manifest
from zsl.data.records import format_of
from zsl.data.sources import UNUSABLE, file_records, files_here, group_of, text_of
from zsl.errors import DataError


def check_texts(experiment: Experiment, root: Path) -> None:
    """Raise DataError, naming keys and files, where local text of a corpus cannot be read: a
    pattern names no file, a suffix is unknown, or the first record of the first file of a format
    has not the declared fields. Corpora that are made are passed over: their text may be gone."""
    found = []
    for name, corpus in experiment.corpora.items():
        manifest = root / "results" / experiment.experiment / "data" / name / "manifest.json"
        if not _is_made(corpus, manifest):
            found += [f"corpora.{name}.{line}" for line in _problems(corpus, root)]
    if found:
        raise DataError("\n".join(found))


def _is_made(corpus: Corpus, manifest: Path) -> bool:
    return manifest.exists() and read_manifest(manifest).declaration == declaration_digest(corpus)


def _problems(corpus: Corpus, root: Path) -> Iterator[str]:
    for key in ("train", "eval_sources"):
        for number, source in enumerate(getattr(corpus, key)):
            if isinstance(source, DistributionSource | FileSource):
                try:
                    _check(source, root, corpus.broken_records == "stop")
                except DataError as error:
                    yield f"{key}.{number}: {error}"


def _check(source: DistributionSource | FileSource, root: Path, stop: bool) -> None:
    files = files_here(source, root).files
    firsts = {format_of(origin): origin for origin in reversed(files)}
    if not stop:
        return  # what has not the fields is left out
    for origin in firsts.values():
        for where, record in file_records(files[origin], origin, source, _stop):
            try:
                text_of(record, source)
                if source.group_by:
                    group_of(record, source)
            except UNUSABLE as error:
                raise DataError(f"{where}: {error}; correct fields, or the file") from None
            break


def _stop(message: str) -> None:
    raise DataError(f"{message}; correct the file")
