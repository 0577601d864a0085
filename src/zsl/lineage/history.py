"""What is kept beside the current records, so that their chain can be followed for ever.

In ``results/<experiment>/lineage/``:

``<path of the artifact>.json``
    The current record of each job; a job that runs again replaces its own.
``history/<SHA-256>.json``
    A copy of every record ever written, named by the SHA-256 of its bytes. A record names those
    of its inputs' makers by it, so that what an artifact was made from can be told even where a
    maker ran again since.
``code/<digest>.py``
    The source of every module that counted, named by the digest that the records give it.
``accepted/<number>.json``
    Acceptances of staleness, with their reasons.
``provenance/``
    The record of the report's own page, which shows the root digest and so is no part of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from zsl.files import read_json, replacing, sha256
from zsl.lineage.errors import LineageError
from zsl.lineage.fingerprint import ROOT, path_of

LINEAGE = "lineage"
HISTORY, CODE, ACCEPTED, PROVENANCE = "history", "code", "accepted", "provenance"


def lineage_folder(record: Path) -> Path:
    """The folder ``lineage`` that a record lies in.

    Raises :class:`LineageError` where it lies in none.
    """
    for parent in record.parents:
        if parent.name == LINEAGE:
            return parent
    raise LineageError(
        f"record {record} is not below a folder {LINEAGE}; declare "
        'lineage="results/<experiment>/lineage/<path of the artifact>.json"'
    )


def keep_record(record: Path) -> None:
    """Copy a record to the history; the report's own is not part of it."""
    folder = lineage_folder(record)
    if not record.is_relative_to(folder / PROVENANCE):
        _copy(record, folder / HISTORY / f"{sha256(record)}.json", record)


def keep_code(modules: Mapping[str, str], record: Path, root: Path = ROOT) -> None:
    """Copy the sources of the ``modules`` (digest by name) of a record that are not yet kept."""
    folder = lineage_folder(record)
    for name, digest in modules.items():
        source = path_of(name, root)
        if source.is_file():
            _copy(source, folder / CODE / f"{digest}{source.suffix}", record)


def _copy(source: Path, target: Path, record: Path) -> None:
    """Copy what is not there; what a kill leaves half-done lies beside the job's own record."""
    if not target.exists():
        with replacing(target, beside=record) as temporary:
            shutil.copyfile(source, temporary)


def possible_records(artifact: str) -> list[str]:
    """Where the record of an artifact may be, both relative to the experiment's folder."""
    path = Path(artifact)
    stem = path.name
    if not stem:
        return []
    for suffix in (".manifest.json", ".steps.csv"):
        stem = stem.removesuffix(suffix)
    names = [path.with_suffix(".json"), path.with_name(f"{stem}.json")]
    names += [path.with_name(f"{path.name}.json"), path.with_name("manifest.json")]
    return [f"{LINEAGE}/{name.as_posix()}" for name in dict.fromkeys(names)]


def maker(artifact: Path, folder: Path) -> Path | None:
    """The current record that names ``artifact`` as an output; None where there is none.

    ``folder`` is the folder ``lineage`` of the experiment.
    """
    results = folder.parent
    if not artifact.is_relative_to(results):
        return None
    inside = artifact.relative_to(results).as_posix()
    for name in possible_records(inside):
        record = results / name
        if record.is_file() and f"{results.name}/{inside}" in _outputs(record):
            return record
    return None


def _outputs(path: Path) -> set[str]:
    """Outputs, each by the last folder above the experiment's files and its path within.

    Raises :class:`LineageError` where the file is no record.
    """
    record = read_json(path)
    try:
        start = record["path"].partition(f"/{LINEAGE}/")[0].rpartition("/")[0]
        prefix = f"{start}/" if start else ""
        return {entry["path"].removeprefix(prefix) for entry in record["outputs"]}
    except (LookupError, TypeError, AttributeError) as error:
        raise LineageError(f"{path} is no record ({error!r}); run its job again") from None
