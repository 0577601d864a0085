"""Why two artifacts, runs or experiments differ: the first causes, not what follows from them.

The records of both sides are followed in parallel. Where the bytes that two jobs read differ,
their makers are compared; where they are the same, what differs before had no effect.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from zsl.audit.causes import circumstances, own_changes
from zsl.audit.changes import Change
from zsl.audit.tree import PER_RUN, maker_of
from zsl.lineage.store import Record, Records

Entry = dict[str, Any]
KINDS = ("rule", "source", "seed", "setting", "module", "package", "installed package", "python")
"""Kinds of causes, in the order in which they are said; threads and device come after them."""


@dataclass(frozen=True)
class Cause:
    """One difference, and the steps that have it."""

    change: Change
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """Why two sides differ."""

    same: bool
    """Whether all outputs that were compared have the same content."""
    same_bytes: bool
    """Whether they have the same bytes, too."""
    one_record: bool
    """Whether both are of one and the same record."""
    causes: tuple[Cause, ...]
    """Differences of steps whose bytes differ, the first steps first."""
    without_effect: tuple[Cause, ...]
    """Differences of steps that gave the same bytes nevertheless, or that no bytes came from."""
    circumstances: tuple[Cause, ...]
    """What differs and is no reason by itself."""
    n_consequences: int
    """Steps that differ only because what they read does."""
    n_compared: int
    """Pairs of records that were compared first: one, or all that two experiments share."""


@dataclass(frozen=True)
class _Pair:
    a: Record = field(compare=False)
    b: Record = field(compare=False)
    digests: tuple[str, str]

    @property
    def name(self) -> str:
        return self.a.name if self.a.name == self.b.name else f"{self.a.name} | {self.b.name}"

    @property
    def is_one(self) -> bool:
        return self.digests[0] == self.digests[1]


def _pair(a: Record, b: Record) -> _Pair:
    return _Pair(a, b, (a.sha256, b.sha256))


def explain(
    roots: Iterable[tuple[Record, Record]],
    sides: tuple[Records, Records],
    outputs: tuple[str, str] | None = None,
) -> Explanation:
    """Compare pairs of records and everything before them.

    ``outputs`` are the two outputs that count of a single pair; without them all do.
    """
    pairs = [_pair(a, b) for a, b in roots]
    compared = {pair: list(_entries(pair, outputs)) for pair in pairs}
    differing = [pair for pair, found in compared.items() if not _all_same(found)]
    reached = _walk(differing, sides, through_same=False)
    rest = _walk([*pairs, *reached], sides, through_same=True)
    idle = {pair: found for pair, found in rest.items() if pair not in reached}
    entries = [entry for found in compared.values() for entry in found]
    return Explanation(
        same=not differing,
        same_bytes=all(a and b and a["sha256"] == b["sha256"] for a, b in entries),
        one_record=all(pair.is_one for pair in pairs),
        causes=_gathered(_of_pairs(reached)),
        without_effect=_gathered(_of_pairs(idle)),
        circumstances=_gathered(
            (change, pair.name)
            for pair in [*reached, *idle]
            for change in circumstances(pair.a, pair.b)
        ),
        n_consequences=sum(not changes for changes in reached.values()),
        n_compared=len(pairs),
    )


def _all_same(entries: Iterable[tuple[Entry | None, Entry | None]]) -> bool:
    return all(a is not None and b is not None and same_content(a, b) for a, b in entries)


def same_content(a: Entry, b: Entry) -> bool:
    """Whether two entries of records have the same bytes, or say the same in other bytes."""
    if a["sha256"] == b["sha256"]:
        return True
    return "logical_sha256" in a and a["logical_sha256"] == b.get("logical_sha256")


def _entries(
    pair: _Pair, outputs: tuple[str, str] | None
) -> Iterator[tuple[Entry | None, Entry | None]]:
    """Outputs of two records side by side; None where only one has it."""
    if outputs:
        yield pair.a.outputs.get(outputs[0]), pair.b.outputs.get(outputs[1])
        return
    a, b = (
        {entry.get("name") or str(i): entry for i, entry in enumerate(record.outputs.values())}
        for record in (pair.a, pair.b)
    )
    for name in dict.fromkeys([*a, *b]):
        yield a.get(name), b.get(name)


def _walk(
    roots: list[_Pair], sides: tuple[Records, Records], *, through_same: bool
) -> dict[_Pair, list[Change]]:
    """What differs in each pair that is reached, the first steps first."""
    found: dict[_Pair, list[Change]] = {}
    waiting = deque(roots)
    while waiting:
        pair = waiting.popleft()
        if pair in found or pair.is_one:
            continue
        found[pair] = own_changes(pair.a, pair.b, sides)
        some_differ = False
        for one, other in matched(pair.a, pair.b, sides):
            differ = one is None or other is None or not same_content(one, other)
            some_differ |= differ
            before = _makers(pair, one, other, sides)
            if before is None or before.is_one:
                found[pair] += [_of_input(pair, one, other)] if differ else []
            elif differ or through_same:
                waiting.append(before)
        if not found[pair] and not some_differ and not through_same:
            found[pair].append(_unexplained(pair))
    return dict(reversed(found.items()))


def _makers(
    pair: _Pair, one: Entry | None, other: Entry | None, sides: tuple[Records, Records]
) -> _Pair | None:
    a = maker_of(pair.a, one, sides[0]) if one else None
    b = maker_of(pair.b, other, sides[1]) if other else None
    return _pair(a, b) if a and b else None


def _of_input(pair: _Pair, one: Entry | None, other: Entry | None) -> Change:
    paths = [
        record.inside(entry["path"])
        for record, entry in ((pair.a, one), (pair.b, other))
        if entry is not None
    ]
    if one is None or other is None:
        said = f"read only by {'A' if other is None else 'B'}"
    else:
        said = "other bytes, and no two records say how they came about"
    digests = [entry["sha256"] if entry else None for entry in (one, other)]
    return Change("input", " | ".join(dict.fromkeys(paths)), digests[0], digests[1], said)


def _unexplained(pair: _Pair) -> Change:
    differ = [change.name for change in circumstances(pair.a, pair.b) if change.kind != "git"]
    said = "no setting, code, counted package, device or input differs, and yet the bytes do"
    said += f"; what differs is {', '.join(differ)}" if differ else ""
    return Change("unexplained", pair.name, None, None, said)


def matched(
    a: Record, b: Record, sides: tuple[Records, Records]
) -> list[tuple[Entry | None, Entry | None]]:
    """Inputs of two records that play the same role: of one path, else of one name and folder.

    Runs and their segments may be others; so may be the rules that made them, such as an
    imported loss curve for one of a run.
    """
    others = {b.inside(entry["path"]): entry for entry in b.inputs}
    found: list[tuple[Entry | None, Entry | None]] = []
    left = []
    for entry in a.inputs:
        match = others.pop(a.inside(entry["path"]), None)
        if match is None:
            left.append(entry)
        else:
            found.append((entry, match))
    roles: dict[object, deque[Entry]] = {}
    for entry in others.values():
        roles.setdefault(_role(b, entry, sides[1]), deque()).append(entry)
    for entry in left:
        queue = roles.get(_role(a, entry, sides[0]))
        found.append((entry, queue.popleft() if queue else None))
    return found + [(None, entry) for queue in roles.values() for entry in queue]


def _role(record: Record, entry: Entry, records: Records) -> tuple[object, ...]:
    maker = maker_of(record, entry, records)
    if maker is None:
        return (entry.get("name"), entry["kind"])
    wildcards = maker.content.get("wildcards", {})
    kept = tuple((key, value) for key, value in sorted(wildcards.items()) if key not in PER_RUN)
    path = maker.inside(entry["path"])
    output = maker.outputs.get(path, entry)
    folders = tuple(each for each in path.split("/")[:-1] if each not in wildcards.values())
    return (entry.get("name"), entry["kind"], folders, kept, output.get("name"))


def _of_pairs(pairs: dict[_Pair, list[Change]]) -> Iterator[tuple[Change, str]]:
    return ((change, pair.name) for pair, changes in pairs.items() for change in changes)


def _gathered(found: Iterable[tuple[Change, str]]) -> tuple[Cause, ...]:
    """Each difference once, with all steps that have it; kinds in order, the first steps first."""
    steps: dict[str, tuple[Change, list[str]]] = {}
    for change, step in found:
        steps.setdefault(repr(change), (change, []))[1].append(step)
    causes = [Cause(change, tuple(sorted(set(names)))) for change, names in steps.values()]
    return tuple(sorted(causes, key=lambda cause: _rank(cause.change.kind)))


def _rank(kind: str) -> int:
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


@dataclass(frozen=True)
class Overview:
    """What two experiments have, before why it differs."""

    only_a: tuple[str, ...]
    """Runs only of A."""
    only_b: tuple[str, ...]
    settings: tuple[Cause, ...]
    """Settings and seeds of training that differ, with the runs."""
    folders: dict[str, dict[str, int]]
    """How many artifacts are ``same``, ``different``, ``only A``, ``only B``, by folder."""


def overview(sides: tuple[Records, Records]) -> Overview:
    """Compare the runs and artifacts of two experiments."""
    runs = [_runs(side) for side in sides]
    both = [run for run in runs[0] if run in runs[1]]
    changes = (
        (change, run)
        for run in both
        for change in own_changes(runs[0][run], runs[1][run], sides)
        if change.kind in ("rule", "setting", "seed")
    )
    return Overview(
        tuple(run for run in runs[0] if run not in runs[1]),
        tuple(run for run in runs[1] if run not in runs[0]),
        _gathered(changes),
        _folders(sides),
    )


def _runs(records: Records) -> dict[str, Record]:
    """The last segment of each run, or its imported loss curve."""
    return {
        record.content["wildcards"]["run"]: record
        for _, record in sorted(records.current.items())
        if record.content["rule"] in ("train", "imported_loss")
    }


def _folders(sides: tuple[Records, Records]) -> dict[str, dict[str, int]]:
    a, b = (
        {path: made.outputs[path] for path, made in side.makers.items() if not made.is_report}
        for side in sides
    )
    counts: dict[str, Counter[str]] = {}
    for path in sorted({*a, *b}):
        if path in a and path in b:
            said = "same" if same_content(a[path], b[path]) else "different"
        else:
            said = "only A" if path in a else "only B"
        counts.setdefault(path.partition("/")[0], Counter())[said] += 1
    return {folder: dict(found) for folder, found in counts.items()}


def common(sides: tuple[Records, Records]) -> list[tuple[Record, Record]]:
    """The records of two experiments that are of the same artifacts."""
    a, b = (side.current for side in sides)
    return [(a[path], b[path]) for path in a if path in b and not a[path].is_report]
