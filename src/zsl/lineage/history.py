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

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zsl.files import LARGEST_JSON, parse_json, read_limited, replacing, sha256
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


def history_path(digest: str) -> str:
    """Where the copy of a record is kept, relative to the results."""
    return f"{LINEAGE}/{HISTORY}/{digest}.json"


def keep_record(record: Path) -> None:
    """Copy a record to the history; the report's own is not part of it."""
    folder = lineage_folder(record)
    if not record.is_relative_to(folder / PROVENANCE):
        _copy(record, folder.parent / history_path(sha256(record)), record)


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


@dataclass(frozen=True)
class Made:
    """What a current record says of one of its outputs."""

    record: Path
    record_sha256: str
    sha256: str
    """Of the output, as its job wrote it."""


def made(artifact: Path, folder: Path) -> Made | None:
    """What the current record that names ``artifact`` as an output says; None without one.

    ``folder`` is the folder ``lineage`` of the experiment. Raises :class:`LineageError` where the
    file that should be the record is none.
    """
    results = folder.parent
    if not artifact.is_relative_to(results):
        return None
    inside = artifact.relative_to(results).as_posix()
    for name in possible_records(inside):
        path = results / name
        if path.is_file():
            data = read_limited(path, LARGEST_JSON)
            if digest := _outputs(data, path).get(f"{results.name}/{inside}"):
                return Made(path, hashlib.sha256(data).hexdigest(), digest)
    return None


def _outputs(data: bytes, path: Path) -> dict[str, str]:
    """SHA-256 of outputs, each by the experiment's folder and its path within.

    Not by the whole reader of :mod:`zsl.lineage.store`, which jobs need not import.
    """
    try:
        record = parse_json(data, str(path))
        above = record.get("path", "").partition(f"/{LINEAGE}/")[0].rpartition("/")[0]
        start = f"{above}/" if above else ""
        return {e["path"].removeprefix(start): str(e["sha256"]) for e in record["outputs"]}
    except (LookupError, TypeError, AttributeError) as error:
        raise LineageError(f"{path} is no record ({error!r}); run its job again") from None
