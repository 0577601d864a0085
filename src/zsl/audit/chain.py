"""Whether the records are those that were written: the history, and the chain through it.

A record in the history is named by the digest of its bytes, and names those of its inputs'
makers so. An edited record is therefore none of the history, or its successors name another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zsl.audit.changes import LARGEST_SOURCE, setting_changes
from zsl.audit.contents import unread
from zsl.audit.disk import Disk
from zsl.audit.findings import Finding, Status
from zsl.files import read_limited
from zsl.lineage.errors import LineageError
from zsl.lineage.history import ACCEPTED, CODE, HISTORY, LINEAGE, history_path
from zsl.lineage.store import NAMES, Record, Records, makers_of
from zsl.lineage.syntax import parse

SHOWN = 6
"""Differences of an altered record that are shown."""
KEPT = (f"{LINEAGE}/{HISTORY}/", f"{LINEAGE}/{ACCEPTED}/")


@dataclass(frozen=True)
class Chain:
    """The records that can be believed, and what is wrong with the others."""

    authentic: dict[str, Record]
    """By path: the current record, or the one that was written there last."""
    findings: list[Finding]
    notes: list[str]


def check_chain(records: Records, disk: Disk) -> Chain:
    """Follow every record to its copy in the history and to the records it names."""
    findings = [
        *_history(records, disk),
        *_code(records, disk),
        *_acceptances(records, disk),
        *_links(disk),
        *_hidden(records, disk),
    ]
    authentic: dict[str, Record] = {}
    jobs_wrote = _written(records)
    broken = {path for path in records.broken if not path.startswith(KEPT)}
    hidden = {record.path for record in records.history.values() if disk.hides(record.path)}
    for path in sorted({*records.current, *broken, *_lost(records, disk), *hidden}):
        record, last = records.current.get(path), records.written.get(path)
        if record and record.path == path:
            kept = record.sha256 in jobs_wrote or disk.hides(history_path(record.sha256))
            if record.is_report or kept:
                authentic[path] = record
                continue
        if last:
            authentic[path] = last
        if record:
            findings.append(_record(path, "altered", *_edited(path, record, last)))
        elif path in records.broken:
            findings.append(_record(path, "altered", records.broken[path]))
        elif path not in hidden:
            findings.append(_record(path, "missing", "the record was deleted"))
    wrong = {finding.path for finding in findings}
    for path, record in authentic.items():
        if said := [*_predecessors(record, records)]:
            findings.append(_record(path, "altered", *said))
        elif path not in wrong | hidden:
            findings.append(_record(path, "verified"))
    return Chain(authentic, findings, [*_notes(authentic)])


def _record(path: str, status: Status, *said: str) -> Finding:
    return Finding(path, status, said, kind="record")


def _written(records: Records) -> set[str]:
    """Digests of the records that jobs wrote: those of the history, and those that others name.

    A copy in the history that was damaged still tells the digest of what it was, by its name.
    """
    named = {e["record"] for r in records.history.values() for e in r.inputs if "record" in e}
    return named | {Path(path).stem for path in records.broken} | set(records.history)


def _hidden(records: Records, disk: Disk) -> Iterator[Finding]:
    """Records, and folders of them, that this user may not read."""
    for path, error in sorted(disk.unreadable.items()):
        if path.startswith(f"{LINEAGE}/") and isinstance(error, PermissionError):
            yield unread(error, path, records.results, "record")


def _lost(records: Records, disk: Disk) -> set[str]:
    """Records that are gone while what they are of is still there, or what was made from it."""
    paths = {record.path for record in records.history.values()}
    paths -= {*records.current, *records.broken}
    gone = {path for path in paths if not disk.hides(path)}
    here = {name for record in records.written.values() for name in record.outputs if name in disk}
    alone = here - records.makers.keys()
    last = {path: record for path, record in records.written.items() if path in gone}
    found = {path for path, record in last.items() if alone & record.outputs.keys()}
    waiting = [*records.current.values()]
    while waiting:
        for entry in waiting.pop().inputs:
            maker = records.history.get(entry.get("record", ""))
            if maker and maker.path in gone and maker.path not in found:
                found.add(maker.path)
                waiting.append(maker)
    return found


def _history(records: Records, disk: Disk) -> Iterator[Finding]:
    for digest, record in records.history.items():
        if record.sha256 != digest:
            said = f"its bytes are not those its name gives: this copy of {record.path} was edited"
            yield _record(history_path(digest), "altered", said)
    for path, why in records.broken.items():
        if path.startswith(KEPT):
            yield _record(path, "altered", why)
    known = {*records.history, *(Path(path).stem for path in records.broken)}
    named: dict[str, set[str]] = {}
    for record in [*records.history.values(), *records.current.values()]:
        for entry in record.inputs:
            if entry.get("record", "") not in {*known, ""}:
                named.setdefault(entry["record"], set()).add(record.inside(entry["path"]))
    for digest in sorted(named):
        if not disk.hides(path := history_path(digest)):
            said = f"it was deleted; it is the record of {_some(sorted(named[digest]))}"
            yield _record(path, "missing", said)


def _code(records: Records, disk: Disk) -> Iterator[Finding]:
    """Sources that are not those their names give, or that current records name in vain."""
    folder = f"{LINEAGE}/{CODE}/"
    inside = (path.removeprefix(folder) for path in disk.digests if path.startswith(folder))
    kept = {Path(name).stem: name for name in inside if NAMES[CODE].fullmatch(name)}
    for digest, name in sorted(kept.items()):
        if digest not in _digests_of(records.code / name, disk.digests[folder + name]):
            said = "it is not the source that its name gives: it was edited"
            yield _record(folder + name, "altered", said)
    named = {
        digest: f"{folder}{digest}{Path(name).suffix if '/' in name else '.py'}"
        for record in records.current.values()
        for name, digest in record.modules.items()
    }
    for digest, path in sorted(named.items()):
        if digest not in kept and not disk.hides(path):
            yield _record(path, "missing", "the source of a module that records name was deleted")


def _links(disk: Disk) -> Iterator[Finding]:
    """Symbolic links among the records, of which no root holds the bytes."""
    for path, target in sorted(disk.links.items()):
        if path.startswith(f"{LINEAGE}/"):
            yield _record(path, "altered", f"is a symbolic link to {target}, was none")


def _digests_of(path: Path, sha256: str) -> set[str]:
    """The digests that a kept source may be named by: of its meaning, or of its bytes."""
    if path.suffix != ".py":
        return {sha256}
    try:
        text = read_limited(path, LARGEST_SOURCE).decode()
        return {parse(text, declarations).digest for declarations in (False, True)} | {sha256}
    except (OSError, ValueError, SyntaxError, LineageError, RecursionError, MemoryError):
        return {sha256}


def _acceptances(records: Records, disk: Disk) -> Iterator[Finding]:
    numbers = {int(Path(path).stem) for path in records.accepted}
    for number in sorted(set(range(1, max(numbers, default=0))) - numbers):
        path = f"{LINEAGE}/{ACCEPTED}/{number:04d}.json"
        if not disk.hides(path):
            yield _record(path, "missing", "acceptances are numbered, and this one is gone")


def _edited(path: str, record: Record, last: Record | None) -> list[str]:
    """What was done to a current record that no job wrote there."""
    if record.path != path:
        return [f"it is a copy of {record.path}"]
    said = ["it is none of the records that jobs wrote (lineage/history)"]
    if last:
        changes = setting_changes(last.content, record.content, "edited:")
        said += [str(change) for change in changes[:SHOWN]]
        said += [f"and {len(changes) - SHOWN} more"] if len(changes) > SHOWN else []
        said += [] if changes else ["its bytes differ, its values do not"]
    return said


def _predecessors(record: Record, records: Records) -> Iterator[str]:
    """What contradicts a record among the records that it names."""
    for entry in record.inputs:
        maker = records.history.get(entry.get("record", ""))
        if maker is None or maker.sha256 != entry["record"]:  # an edited copy is said elsewhere
            continue
        path = record.inside(entry["path"])
        made = maker.outputs.get(path)
        if made is None or made["sha256"] != entry["sha256"]:
            yield f"it names a record for its input {path} that made other bytes or another file"


def _notes(authentic: dict[str, Record]) -> Iterator[str]:
    makers = makers_of(authentic.values())
    again = set()
    for record in authentic.values():
        for entry in record.inputs:
            path = record.inside(entry["path"])
            maker = makers.get(path)
            other = maker and entry.get("record") not in (None, maker.sha256)
            if maker and other and maker.outputs[path]["sha256"] == entry["sha256"]:
                again.add(maker.path)
    if again:
        yield (
            "jobs that ran again after their results were read, with the same bytes: "
            f"{_some(sorted(again))}"
        )
    dirty = sum(bool(record.section("git").get("dirty")) for record in authentic.values())
    if dirty:
        yield (
            f"{dirty} of {len(authentic)} records were made from a working tree with "
            "uncommitted changes; the sources that counted are in lineage/code"
        )
    undeclared = {n for r in authentic.values() for n in r.section("code").get("undeclared", ())}
    if undeclared:
        yield (
            "modules that were loaded and no fingerprint counts (such as those that only check "
            f"settings): {_some(sorted(undeclared))}"
        )


def _some(names: list[str], n: int = 3) -> str:
    return ", ".join(names[:n]) + (f" and {len(names) - n} more" if len(names) > n else "")
