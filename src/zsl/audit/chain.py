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
from zsl.audit.findings import Finding
from zsl.files import read_limited
from zsl.lineage.errors import LineageError
from zsl.lineage.history import ACCEPTED, CODE, HISTORY, LINEAGE
from zsl.lineage.store import NAMES, Record, Records
from zsl.lineage.syntax import parse

SHOWN = 6
"""Differences of an altered record that are shown."""


@dataclass(frozen=True)
class Chain:
    """The records that can be believed, and what is wrong with the others."""

    authentic: dict[str, Record]
    """By path: the current record, or the one that was written there last."""
    findings: list[Finding]
    notes: list[str]


def check_chain(records: Records, disk: Disk) -> Chain:
    """Follow every record to its copy in the history and to the records it names."""
    findings = [*_history(records, disk), *_code(records, disk), *_acceptances(records, disk)]
    findings += [*_links(disk), *_hidden(records, disk)]
    written = _written(records)
    authentic: dict[str, Record] = {}
    hidden = {record.path for record in records.history.values() if disk.hides(record.path)}
    for path in sorted({*records.current, *_broken(records), *_lost(records, disk), *hidden}):
        record = records.current.get(path)
        own = record is not None and record.path == path
        if record and own and (record.is_report or _is_kept(record, written, disk)):
            authentic[path] = record
            continue
        known = records.written.get(path)
        if known:
            authentic[path] = known
        if record:
            findings.append(_altered(path, record, known))
        elif path in records.broken:
            findings.append(Finding(path, "altered", (records.broken[path],), kind="record"))
        elif path not in hidden:
            findings.append(Finding(path, "missing", ("the record was deleted",), kind="record"))
    wrong = {finding.path for finding in findings}
    for path, record in authentic.items():
        said = tuple(_predecessors(record, records))
        if said:
            findings.append(Finding(path, "altered", said, kind="record"))
        elif path not in wrong | hidden:
            findings.append(Finding(path, "verified", kind="record"))
    return Chain(authentic, findings, [*_notes(authentic)])


def _written(records: Records) -> set[str]:
    """Digests of the records that jobs wrote: those of the history, and those that others name.

    A copy in the history that was damaged still tells the digest of what it was, by its name.
    """
    named = {e.get("record") for record in records.history.values() for e in record.inputs}
    named |= {Path(path).stem for path in records.broken} | set(records.history)
    return {digest for digest in named if digest}


def _is_kept(record: Record, written: set[str], disk: Disk) -> bool:
    """Whether a job wrote a record, as far as this user may see."""
    copy = f"{LINEAGE}/{HISTORY}/{record.sha256}.json"
    return record.sha256 in written or disk.hides(copy) is not None


def _hidden(records: Records, disk: Disk) -> Iterator[Finding]:
    """Records, and folders of them, that this user may not read."""
    for path, error in sorted(disk.unreadable.items()):
        if path.startswith(f"{LINEAGE}/") and isinstance(error, PermissionError):
            yield unread(error, path, records.results, "record")


def _broken(records: Records) -> set[str]:
    kept = tuple(f"{LINEAGE}/{name}/" for name in (HISTORY, ACCEPTED))
    return {path for path in records.broken if not path.startswith(kept)}


def _lost(records: Records, disk: Disk) -> set[str]:
    """Records that are gone while what they are of is still there, or what was made from it."""
    written = {record.path for record in records.history.values()} - set(records.current)
    written = {path for path in written if not disk.hides(path)}
    found = set()
    for path in written:
        last = records.written.get(path)
        outputs = last.outputs if last else {}
        if any(name in disk and name not in records.makers for name in outputs):
            found.add(path)
    waiting, gone = [*records.current.values()], written - found - set(records.broken)
    while waiting:
        for entry in waiting.pop().inputs:
            maker = records.history.get(entry.get("record", ""))
            if maker and maker.path in gone:
                gone.remove(maker.path)
                found.add(maker.path)
                waiting.append(maker)
    return found


def _history(records: Records, disk: Disk) -> Iterator[Finding]:
    for digest, record in records.history.items():
        if record.sha256 != digest:
            said = (
                f"its bytes are not those its name gives: this copy of {record.path} was edited",
            )
            yield Finding(f"{LINEAGE}/{HISTORY}/{digest}.json", "altered", said, kind="record")
    for path, why in records.broken.items():
        if path.startswith((f"{LINEAGE}/{HISTORY}/", f"{LINEAGE}/{ACCEPTED}/")):
            yield Finding(path, "altered", (why,), kind="record")
    stems = {Path(path).stem for path in records.broken}
    named: dict[str, list[str]] = {}
    for record in [*records.history.values(), *records.current.values()]:
        for entry in record.inputs:
            if "record" in entry:
                named.setdefault(entry["record"], []).append(record.inside(entry["path"]))
    for digest in sorted(set(named) - set(records.history) - stems):
        said = (f"it was deleted; it is the record of {_some(sorted(set(named[digest])))}",)
        path = f"{LINEAGE}/{HISTORY}/{digest}.json"
        if not disk.hides(path):
            yield Finding(path, "missing", said, kind="record")


def _code(records: Records, disk: Disk) -> Iterator[Finding]:
    """Sources that are not those their names give, or that current records name in vain."""
    folder = f"{LINEAGE}/{CODE}"
    inside = (path for path in disk.digests if Path(path).parent.as_posix() == folder)
    kept = {Path(path).stem: path for path in inside if NAMES[CODE].fullmatch(Path(path).name)}
    for digest, path in sorted(kept.items()):
        if digest not in _digests_of(records.results / path, disk.digests[path]):
            said = ("it is not the source that its name gives: it was edited",)
            yield Finding(path, "altered", said, kind="record")
    named = {
        digest: f"{folder}/{digest}{Path(name).suffix if '/' in name else '.py'}"
        for record in records.current.values()
        for name, digest in record.content.get("code", {}).get("modules", {}).items()
    }
    for digest, path in sorted(named.items()):
        if digest not in kept and not disk.hides(path):
            said = ("the source of a module that records name was deleted",)
            yield Finding(path, "missing", said, kind="record")


def _links(disk: Disk) -> Iterator[Finding]:
    """Symbolic links among the records, of which no root holds the bytes."""
    for path, target in sorted(disk.links.items()):
        if path.startswith(f"{LINEAGE}/"):
            said = (f"is a symbolic link to {target}, was none",)
            yield Finding(path, "altered", said, kind="record")


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
        said = ("acceptances are numbered, and this one is gone",)
        path = f"{LINEAGE}/{ACCEPTED}/{number:04d}.json"
        if not disk.hides(path):
            yield Finding(path, "missing", said, kind="record")


def _altered(path: str, record: Record, known: Record | None) -> Finding:
    """A current record that nobody wrote there, with what was edited in it."""
    if record.path != path:
        return Finding(path, "altered", (f"it is a copy of {record.path}",), kind="record")
    said = ["it is none of the records that jobs wrote (lineage/history)"]
    if known:
        changes = setting_changes(known.content, record.content, "edited:")
        said += [str(change) for change in changes[:SHOWN]]
        said += [f"and {len(changes) - SHOWN} more"] if len(changes) > SHOWN else []
        said += [] if changes else ["its bytes differ, its values do not"]
    return Finding(path, "altered", tuple(said), kind="record")


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
    makers = {path: record for record in authentic.values() for path in record.outputs}
    again = {
        maker.path
        for record in authentic.values()
        for entry in record.inputs
        if (maker := makers.get(record.inside(entry["path"])))
        and entry.get("record") not in (None, maker.sha256)
        and maker.outputs[record.inside(entry["path"])]["sha256"] == entry["sha256"]
    }
    if again:
        yield (
            "jobs that ran again after their results were read, with the same bytes: "
            f"{_some(sorted(again))}"
        )
    dirty = [
        path for path, record in authentic.items() if record.content.get("git", {}).get("dirty")
    ]
    if dirty:
        yield (
            f"{len(dirty)} of {len(authentic)} records were made from a working tree with "
            "uncommitted changes; the sources that counted are in lineage/code"
        )
    undeclared = {
        name for r in authentic.values() for name in r.content.get("code", {}).get("undeclared", ())
    }
    if undeclared:
        yield (
            "modules that were loaded and no fingerprint counts (such as those that only check "
            f"settings): {_some(sorted(undeclared))}"
        )


def _some(names: list[str], n: int = 3) -> str:
    return ", ".join(names[:n]) + (f" and {len(names) - n} more" if len(names) > n else "")
