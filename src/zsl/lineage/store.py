"""The lineage records of a folder of results: the one reader of them.

Everything below ``results/<experiment>/lineage`` is read once by :func:`read_records`, checked
against the form that records have, and kept as :class:`Records`. Audits, questions and crates are
views of it. Results may come from others: a record names paths that are read, linked and packed,
and digests that name files, so that neither may lead out of the results or of the project.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, Literal, Required

from pydantic import (
    AfterValidator,
    ConfigDict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    with_config,
)
from typing_extensions import TypedDict

from zsl.files import LARGEST_JSON, parse_json, read_limited
from zsl.lineage.errors import LineageError
from zsl.lineage.history import ACCEPTED, CODE, HISTORY, LINEAGE, PROVENANCE
from zsl.lineage.values import stays_inside
from zsl.permissions import require_readable

NAMES = {
    HISTORY: re.compile(r"[0-9a-f]{64}\.json"),
    CODE: re.compile(r"[0-9a-f]{64}(\.[a-z]+)?"),
    ACCEPTED: re.compile(r"[0-9]{4}\.json"),
}
"""Folders of ``lineage`` that hold no current records, and how the files in them are called."""
REPORT = f"{LINEAGE}/{PROVENANCE}/root.json"
"""The record of the report's page, which is in no history: it may be of these files alone."""
PAGE = {f"{PROVENANCE}/root.html", f"{PROVENANCE}/records.sha256"}
SECTIONS = ("params", "wildcards", "code", "git", "facts", "environment")
"""What a record says nothing of is left out of it; it is read as empty."""
NO_SETTINGS = {
    **dict.fromkeys(("code", "packages"), "compared by module and by package"),
    **dict.fromkeys(("state", "blocks", "printed"), "says where files lie"),
    **dict.fromkeys(("caption", "shown"), "words"),
    "threads": "how, not what",
}
"""Parameters of jobs that are no settings, with the reason."""


Check = Callable[[Any], None]
"""Raises ValueError where a value is not of some form."""


def _path(value: str) -> str:
    if not stays_inside(value):
        raise ValueError("leads out, or is no plain path")
    return value


def _moment(value: str) -> str:
    datetime.fromisoformat(value)
    return value


_INSIDE = Annotated[str, AfterValidator(_path)]
_MOMENT = Annotated[str, AfterValidator(_moment)]
_DIGEST = Annotated[str, StringConstraints(pattern=r"^(symlink:)?[0-9a-f]{64}$")]
_NAME = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$")]
_RULE = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]


def _form(**keys: Any) -> Any:
    """A JSON object that may hold more than these keys, each of its type exactly; only those that
    are ``Required`` have to be there."""
    described = TypedDict("described", keys, total=False)  # type: ignore[misc]
    return with_config(ConfigDict(strict=True, extra="allow"))(described)


def _list(item: Any) -> Any:
    return GenericAlias(list, (item,))


_FILE = _form(origin=Required[str], sha256=Required[_DIGEST], size=int)
_MANIFEST = TypeAdapter(_form(sources=_list(_form(origin=str, files=_list(_FILE)))))
_ENTRY = _form(
    path=Required[_INSIDE],
    kind=Required[Literal["file", "folder"]],
    size=Required[int],
    sha256=Required[_DIGEST],
    name=str,
    files=dict[_INSIDE, _DIGEST],
    logical_sha256=_DIGEST,
    record=_DIGEST,  # of an input: the digest of the record of the job that made it
    external=bool,  # whether only the name is recorded, since it lay outside of the project
)

_CUDA = _form(devices=list[str], used=bool, driver=str)
_RECORD = TypeAdapter(
    _form(
        schema=Required[int],
        path=_INSIDE,
        rule=Required[_RULE],
        wildcards=dict[str, _NAME],
        params=_form(packages=dict[str, str | None]),
        seeds=dict[str, Any],
        code=_form(
            script=Required[_INSIDE],
            fingerprint=Required[_DIGEST],
            modules=Required[dict[_INSIDE, _DIGEST]],
            undeclared=list[str],
        ),
        git=_form(commit=str, dirty=bool),
        inputs=Required[_list(_ENTRY)],
        outputs=Required[_list(_ENTRY)],
        facts=_form(sources=_list(_FILE), shown=dict[str, dict[str, Any]]),
        environment=_form(python=str, packages=dict[str, str]),
        device=_form(machine=str, cpu=str, cuda=_CUDA),
        threads=dict[str, int | str],
        scheduler=dict[str, str],
        peak_memory_bytes=dict[str, int],
        time=Required[_form(start=Required[_MOMENT], end=Required[_MOMENT], seconds=float)],
    )
)

_ACCEPTED = TypeAdapter(_form(sha256=Required[str], changes=Required[list[Any]]))
_ACCEPTANCE = TypeAdapter(
    _form(
        schema=Required[int],
        target=Required[str],
        reason=Required[str],
        time=Required[_MOMENT],
        records=Required[dict[str, Any]],
    )
)


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

    @property
    def rule(self) -> str:
        """The rule of its job."""
        return str(self.content["rule"])

    @cached_property
    def outputs(self) -> dict[str, dict[str, Any]]:
        """Entries of the outputs by path relative to the results."""
        return {self.inside(entry["path"]): entry for entry in self.content.get("outputs", ())}

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """Entries of the inputs."""
        return list(self.content.get("inputs", ()))

    @property
    def modules(self) -> dict[str, str]:
        """Digests of the modules that counted as its code, by name."""
        found: dict[str, str] = self.section("code").get("modules", {})
        return found

    @property
    def is_report(self) -> bool:
        """Whether it is that of the report's page, which shows the root and is not in it."""
        return self.path == REPORT and set(self.outputs) == PAGE

    def section(self, key: str) -> dict[str, Any]:
        """What it says below a key, such as ``params``; empty where it says nothing."""
        found: dict[str, Any] = self.content.get(key, {})
        return found

    def time(self, key: Literal["start", "end"]) -> datetime:
        """When its job began or ended."""
        return datetime.fromisoformat(self.content["time"][key])

    def inside(self, path: str) -> str:
        """A recorded path relative to the results; as it is where it lies elsewhere."""
        return path.removeprefix(self.start)


RawKind = Literal["input", "external", "named", "downloaded"]


@dataclass(frozen=True)
class Raw:
    """A file that a job read, and that no job made."""

    origin: str
    """Where it was: a path of the project, a package with its version and a path, an address."""
    sha256: str
    size: int | None = None
    """Bytes, where they are recorded."""
    kind: RawKind = "named"
    """An input, or one outside of the project; named by a manifest or by the facts of the job; or
    all that the job did was to download it."""
    group: str = ""
    """Of a file that a manifest names: the origin of all files that it names together."""
    n_files: int = 0
    """Of a folder: how many files are in it."""


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
    closed: tuple[str, ...] = ()
    """Files and folders of records that this user may not read."""
    makers: dict[str, Record] = field(init=False)
    """The current record of each artifact, by path relative to the results."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "makers", makers_of(self._placed.values()))

    @property
    def _placed(self) -> dict[str, Record]:
        """Current records that lie where they say."""
        return {path: record for path, record in self.current.items() if record.path == path}

    @cached_property
    def experiment(self) -> str:
        """The name that most of the current records that lie where they say give the experiment;
        else most others."""
        known = self._placed or self.history
        starts = Counter(record.start for record in known.values() if record.start)
        return Path(starts.most_common(1)[0][0]).name if starts else self.results.name

    @property
    def start(self) -> str:
        """What paths of the results begin with in the project."""
        return f"results/{self.experiment}/"

    @property
    def code(self) -> Path:
        """The folder of the sources that records name."""
        return self.results / LINEAGE / CODE

    def require_readable(self, path: str) -> None:
        """Raise ClosedError where this user may not read the record at ``path``."""
        if any(f"{path}/".startswith(f"{each}/") for each in self.closed):
            require_readable(self.results / path)

    @cached_property
    def written(self) -> dict[str, Record]:
        """The newest record of the history that was written to each path."""
        whole = [record for digest, record in self.history.items() if record.sha256 == digest]
        in_time = sorted(reversed(whole), key=lambda record: str(record.content["time"]["end"]))
        return {record.path: record for record in in_time}

    def maker_of(self, record: Record, entry: Mapping[str, Any]) -> Record | None:
        """The record of the job that made an input: the one it names, else the current one."""
        named = self.history.get(entry.get("record", ""))
        if named and named.sha256 == entry["record"]:
            return named
        path = record.inside(entry["path"])
        return self.current.get(path) or self.makers.get(path)

    def raw_of(self, record: Record, *, strict: bool = True) -> Iterator[Raw]:
        """What a job read that no job made; some of it under two names, with one digest.

        Raises ValueError where the manifest of a corpus is none, if ``strict``; else such a
        manifest names nothing.
        """
        with nullcontext() if strict else suppress(OSError, ValueError):
            yield from [*self._of_manifest(record)]
        for file in record.section("facts").get("sources", ()):
            yield Raw(file["origin"], file["sha256"], file.get("size"))
        for entry in record.inputs:
            away = bool(entry.get("external"))
            ours = not away and entry["path"].startswith(record.start or "results/")
            if not ours and "record" not in entry and not self.maker_of(record, entry):
                n_files = len(entry.get("files", ()))
                kind: RawKind = "external" if away else "input"
                yield Raw(entry["path"], entry["sha256"], entry.get("size"), kind, "", n_files)
        source = record.section("params").get("source")
        if isinstance(source, dict) and isinstance(source.get("url"), str) and not record.inputs:
            for entry in record.outputs.values():
                yield Raw(source["url"], entry["sha256"], entry.get("size"), "downloaded")

    def manifest_of(self, record: Record) -> bytes | None:
        """The manifest of a corpus, where it is here with the bytes that its job wrote."""
        for path, entry in record.outputs.items() if record.rule == "tokens" else ():
            if path.endswith("manifest.json") and (self.results / path).is_file():
                data = read_limited(self.results / path, LARGEST_JSON)
                return data if hashlib.sha256(data).hexdigest() == entry["sha256"] else None
        return None

    def _of_manifest(self, record: Record) -> Iterator[Raw]:
        data = self.manifest_of(record)
        for source in [] if data is None else sources_of(parse_json(data, record.name)):
            for file in source.get("files", ()):
                group = source.get("origin", "")
                yield Raw(file["origin"], file["sha256"], file.get("size"), "named", group)


def makers_of(records: Iterable[Record]) -> dict[str, Record]:
    """The record of each artifact, by path relative to the results."""
    return {path: record for record in records for path in record.outputs}


def closure(paths: Iterable[str], records: Mapping[str, Record]) -> set[str]:
    """Paths of these ``records`` and of all of them that what they are of was made from."""
    makers = makers_of(records.values())
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


def settings_of(params: Mapping[str, Any], *more: str) -> dict[str, Any]:
    """Those parameters of a job that are settings, and ``more`` of the others by name."""
    return {key: value for key, value in params.items() if key in more or key not in NO_SETTINGS}


def read_records(results: Path) -> Records:
    """Read all records below ``results/lineage``.

    Raises LineageError where there is no such folder or no record in it, ClosedError where this
    user may read none.
    """
    folder = results / LINEAGE
    require_readable(folder)
    if not folder.is_dir():
        raise LineageError(
            f"no folder {folder}: there are no lineage records to audit; run the workflow "
            "(`make all`), or name the folder of an experiment with --results"
        )
    reading = _Reading(results)
    found = reading.walk(folder)
    paths = (path for path in found if path.relative_to(folder).parts[0] not in NAMES)
    current = reading.read(paths, check_record)
    history = reading.read(_named(folder, HISTORY), check_record)
    accepted = reading.read(_named(folder, ACCEPTED), _check_acceptance)
    if not current and reading.closed:
        require_readable(reading.closed[0])
    if not current and not reading.broken:
        raise LineageError(f"no lineage records in {folder}; run the workflow first: `make all`")
    return Records(
        results,
        current,
        reading.broken,
        {Path(path).stem: record for path, record in history.items()},
        {path: record.content for path, record in accepted.items()},
        tuple(path.relative_to(results).as_posix() for path in reading.closed),
    )


def _named(folder: Path, name: str) -> list[Path]:
    """Files that are called as those of a folder of ``lineage`` are."""
    return [path for path in (folder / name).glob("*") if NAMES[name].fullmatch(path.name)]


class _Reading:
    """Reads files of a folder of results, and notes what cannot be read."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.broken: dict[str, str] = {}
        self.closed: list[Path] = []

    def walk(self, folder: Path) -> list[Path]:
        """All that may be a record."""

        def close(error: OSError) -> None:
            if isinstance(error, PermissionError):
                self.closed.append(Path(error.filename))

        walked = os.walk(folder, onerror=close)
        return [
            Path(at, name) for at, _, names in walked for name in names if name.endswith(".json")
        ]

    def read(self, paths: Iterable[Path], check: Check) -> dict[str, Record]:
        """Records by path relative to the results."""
        found: dict[str, Record] = {}
        for path in sorted(paths):
            name = path.relative_to(self.results).as_posix()
            if path.name.startswith("."):
                continue
            try:
                found[name] = as_record(read_limited(path, LARGEST_JSON), name, check)
            except FileNotFoundError:
                continue  # a job that runs now replaces it
            except PermissionError:
                self.closed.append(path)
            except (ValueError, OSError, RecursionError) as error:
                self.broken[name] = f"is no record that can be read: {error}"
        return found


def check_record(content: Any) -> None:
    """Raise ValueError where something is no record, or holds what no record does."""
    _require(_RECORD, content)
    for entry in (*content["inputs"], *content["outputs"]):
        if entry["kind"] == "folder" and "files" not in entry:
            raise ValueError(f"{entry['path']} is a folder without files")


def _check_acceptance(content: Any) -> None:
    _require(_ACCEPTANCE, content)
    for entry in content["records"].values():
        _require(_ACCEPTED, entry)


def as_record(data: bytes, name: str, check: Check = check_record) -> Record:
    """A record from its bytes; ``name`` is its path where it does not say one itself.

    Raises ValueError, which says what is wrong, or RecursionError where the bytes are no record.
    """
    content = json.loads(data, parse_constant=_finite, parse_float=_finite)
    check(content)
    content = {key: {} for key in SECTIONS} | content
    own = content.get("path", name)
    before, found, below = f"/{own}".partition(f"/{LINEAGE}/")
    start = f"{before[1:]}/" if found and before else ""
    inside = f"{LINEAGE}/{below}" if found else own
    return Record(inside, hashlib.sha256(data).hexdigest(), content, start)


def sources_of(manifest: Any) -> list[dict[str, Any]]:
    """The sources that the manifest of a corpus names.

    Raises ValueError where what it names are none.
    """
    try:
        _require(_MANIFEST, manifest)
    except ValueError as error:
        raise ValueError(f"no manifest of a corpus ({error})") from None
    found: list[dict[str, Any]] = manifest.get("sources", [])
    return found


def _require(form: TypeAdapter[Any], content: Any) -> None:
    """Raise ValueError, which names the first thing that is not of the form."""
    try:
        form.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        if first["type"] == "missing":
            raise ValueError(f"it lacks {place}") from None
        raise ValueError(
            f"{place} is {first['input']!r:.100}: {first['msg'].removeprefix('Value error, ')}"
        ) from None


def _finite(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise ValueError(f"{written} is no number that JSON has")
    return number
