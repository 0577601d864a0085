"""The lineage records of a folder of results, and the history that they chain to."""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from zsl.audit.errors import AuditError
from zsl.files import LARGEST_JSON, read_limited
from zsl.lineage.form import check_record
from zsl.lineage.history import ACCEPTED, CODE, HISTORY, LINEAGE, PROVENANCE
from zsl.permissions import require_readable

MALFORMED = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading a file that is no record may raise."""
NAMES = {
    HISTORY: re.compile(r"[0-9a-f]{64}\.json"),
    CODE: re.compile(r"[0-9a-f]{64}(\.[a-z]+)?"),
    ACCEPTED: re.compile(r"[0-9]{4}\.json"),
}
"""Folders of ``lineage`` that hold no current records, and how the files in them are called."""
REPORT = f"{LINEAGE}/{PROVENANCE}/root.json"
"""The record of the report's page, which is in no history: it may be of these files alone."""
PAGE = {f"{PROVENANCE}/root.html", f"{PROVENANCE}/records.sha256"}


@dataclass(frozen=True)
class Record:
    """A lineage record as it was read."""

    path: str
    """Its path relative to the folder of results, such as ``lineage/fits/main-19k.json``."""
    sha256: str
    content: dict[str, Any]
    start: str
    """What its paths begin with where they are in the results, such as ``results/mini/``."""

    @property
    def name(self) -> str:
        """What it is of: its path without ``lineage/`` and suffix."""
        return self.path.removeprefix(f"{LINEAGE}/").removesuffix(".json")

    @cached_property
    def outputs(self) -> dict[str, dict[str, Any]]:
        """Entries of the outputs by path relative to the results."""
        return {self.inside(entry["path"]): entry for entry in self.content.get("outputs", ())}

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """Entries of the inputs."""
        return list(self.content.get("inputs", ()))

    def inside(self, path: str) -> str:
        """A recorded path relative to the results; as it is where it lies elsewhere."""
        return path.removeprefix(self.start)


@dataclass(frozen=True)
class Records:
    """Everything below ``lineage`` of a folder of results."""

    results: Path
    current: dict[str, Record]
    """Current records by path relative to the results."""
    broken: dict[str, str]
    """Records that cannot be read, with the reason."""
    history: dict[str, Record]
    """Records of the history by the digest that their names give; their bytes may be others."""
    accepted: dict[str, dict[str, Any]]
    """Acceptances by path relative to the results."""
    experiment: str
    """Name that the records give the experiment."""
    makers: dict[str, Record] = field(default_factory=dict)
    """The current record of each artifact, by path relative to the results."""
    closed: tuple[str, ...] = ()
    """Files and folders of records that this user may not read."""

    def require_readable(self, path: str) -> None:
        """Raise ClosedError where this user may not read the record at ``path``."""
        if any(f"{path}/".startswith(f"{each}/") for each in self.closed):
            require_readable(self.results / path)

    def authentic(self, path: str) -> Record | None:
        """The newest record of the history that was written to a path."""
        written = [
            record
            for digest, record in self.history.items()
            if record.path == path and record.sha256 == digest
        ]
        return max(written, key=lambda record: record.content["time"]["end"], default=None)


def closure(paths: Iterable[str], records: Mapping[str, Record]) -> set[str]:
    """Paths of these ``records`` and of all of them that what they are of was made from."""
    makers = {name: record for record in records.values() for name in record.outputs}
    waiting, found = [*paths], set()
    while waiting:
        path = waiting.pop()
        if path in found or path not in records:
            continue
        found.add(path)
        record = records[path]
        before = (makers.get(record.inside(entry["path"])) for entry in record.inputs)
        waiting += [maker.path for maker in before if maker]
    return found


def read_records(results: Path) -> Records:
    """Read all records below ``results/lineage``.

    Raises AuditError where there is no such folder or no record in it, ClosedError where this user
    may read none.
    """
    folder = results / LINEAGE
    require_readable(folder)
    if not folder.is_dir():
        raise AuditError(
            f"no folder {folder}: there are no lineage records to audit; run the workflow "
            "(`make all`), or name the folder of an experiment with --results"
        )
    shut: list[Path] = []
    found = _found(folder, shut)
    paths = (path for path in found if path.relative_to(folder).parts[0] not in NAMES)
    current, broken = _read(results, paths, _record, shut)
    old, damaged = _read(results, _named(folder, HISTORY), _record, shut)
    accepted, spoilt = _read(results, _named(folder, ACCEPTED), _acceptance, shut)
    if not current and shut:
        require_readable(shut[0])
    if not current and not broken:
        raise AuditError(f"no lineage records in {folder}; run the workflow first: `make all`")
    history = {Path(path).stem: record for path, record in old.items()}
    records = Records(
        results,
        current,
        {**broken, **damaged, **spoilt},
        history,
        {path: record.content for path, record in accepted.items()},
        _experiment(current, history, results),
        closed=tuple(path.relative_to(results).as_posix() for path in shut),
    )
    own = (record for name, record in current.items() if record.path == name)
    records.makers.update({path: record for record in own for path in record.outputs})
    return records


def _found(folder: Path, shut: list[Path]) -> list[Path]:
    """All that may be a record; ``shut`` is given the folders that may not be listed."""

    def close(error: OSError) -> None:
        if isinstance(error, PermissionError):
            shut.append(Path(error.filename))

    walked = os.walk(folder, onerror=close)
    return [Path(at, name) for at, _, names in walked for name in names if name.endswith(".json")]


def _named(folder: Path, name: str) -> list[Path]:
    """Files that are called as those of a folder of ``lineage`` are."""
    return [path for path in (folder / name).glob("*") if NAMES[name].fullmatch(path.name)]


def _experiment(current: dict[str, Record], history: dict[str, Record], results: Path) -> str:
    """What most of the current records that lie where they say are of; else most others."""
    placed = [record for path, record in current.items() if record.path == path]
    starts = Counter(record.start for record in placed or history.values() if record.start)
    return Path(starts.most_common(1)[0][0]).name if starts else results.name


def _read(
    results: Path,
    paths: Iterable[Path],
    check: Callable[[dict[str, Any]], None],
    shut: list[Path],
) -> tuple[dict[str, Record], dict[str, str]]:
    """Records by path relative to the results, and files that are none, with the reason; ``shut``
    is given those that may not be read."""
    found: dict[str, Record] = {}
    broken: dict[str, str] = {}
    for path in sorted(paths):
        if path.name.startswith("."):
            continue
        name = path.relative_to(results).as_posix()
        try:
            record = as_record(read_limited(path, LARGEST_JSON), name)
            check(record.content)
            found[name] = record
        except FileNotFoundError:
            continue  # a job that runs now replaces it
        except PermissionError:
            shut.append(path)
        except (*MALFORMED, OSError) as error:
            said = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            broken[name] = f"is no record that can be read: {said}"
    return found, broken


def _record(content: dict[str, Any]) -> None:
    """Raise one of MALFORMED where a record lacks something, or holds what no record does."""
    for key in ("start", "end"):
        datetime.fromisoformat(content["time"][key])
    for key in ("params", "wildcards", "code", "git", "facts", "environment"):
        if not isinstance(content.setdefault(key, {}), dict):
            raise TypeError(f"{key} is no JSON object")
    check_record(content)
    for entry in (*content["inputs"], *content["outputs"]):
        entry["sha256"], entry["kind"], entry["size"]
        if entry["kind"] == "folder":
            dict(entry["files"])


def _acceptance(content: dict[str, Any]) -> None:
    """Raise as :func:`_record` where an acceptance lacks something."""
    content["target"].strip(), content["reason"].strip()
    datetime.fromisoformat(content["time"])
    for entry in content["records"].values():
        entry["sha256"].strip()
        if not isinstance(entry["changes"], list):
            raise TypeError("changes are no list")


def as_record(data: bytes, name: str) -> Record:
    """A record from its bytes; ``name`` is its path where it does not say one itself.

    Raises ValueError, LookupError or TypeError where the bytes are no record.
    """
    import hashlib

    content = json.loads(data, parse_constant=_finite, parse_float=_finite)
    if not isinstance(content, dict) or not isinstance(content.get("schema"), int):
        raise ValueError("no JSON object with a schema")
    own = str(content.get("path", name))
    before, found, below = f"/{own}".partition(f"/{LINEAGE}/")
    start = f"{before[1:]}/" if found and before else ""
    inside = f"{LINEAGE}/{below}" if found else own
    return Record(inside, hashlib.sha256(data).hexdigest(), content, start)


def _finite(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise ValueError(f"{written} is no number that JSON has")
    return number


def is_report(record: Record) -> bool:
    """Whether a record is that of the report's page, which shows the root and is not in it."""
    return record.path == REPORT and set(record.outputs) == PAGE


def facts_of(record: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Those of a record's facts that it holds."""
    return {key: record[key] for key in keys if key in record}
