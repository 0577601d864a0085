"""Why two artifacts, runs or experiments differ: the first causes, not what follows from them.

The records of both sides are followed in parallel. Where the bytes that two jobs read differ,
their makers are compared; where they are the same, what differs before had no effect.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from zsl.audit.causes import Sides, circumstances, own_changes
from zsl.audit.changes import Change
from zsl.audit.tree import PER_RUN, runs_of, same_content
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
class Overview:
    """What two experiments have, before why it differs."""

    only_a: tuple[str, ...]
    """Runs only of A."""
    only_b: tuple[str, ...]
    settings: tuple[Cause, ...]
    """Settings and seeds of training that differ, with the runs."""
    folders: dict[str, dict[str, int]]
    """How many artifacts are ``same``, ``different``, ``only A``, ``only B``, by folder."""


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
    overview: Overview | None = None
    """Of two experiments."""


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


def explain_experiments(sides: Sides) -> Explanation:
    """Compare what two experiments both have, and say what only one has."""
    a, b = (side.current for side in sides)
    common = [(a[path], b[path]) for path in a if path in b and not a[path].is_report]
    return explain(common, sides, overview=overview(sides))


def explain(
    roots: Iterable[tuple[Record, Record]],
    sides: Sides,
    outputs: tuple[str, str] | None = None,
    overview: Overview | None = None,
) -> Explanation:
    """Compare pairs of records and everything before them.

    ``outputs`` are the two outputs that count of a single pair; without them all do.
    """
    pairs = [_pair(a, b) for a, b in roots]
    compared = {pair: _entries(pair, outputs) for pair in pairs}
    differing = [pair for pair, found in compared.items() if not all(map(_same, found))]
    reached = _walk(differing, sides, through_same=False)
    rest = _walk([*pairs, *reached], sides, through_same=True)
    idle = {pair: found for pair, found in rest.items() if pair not in reached}
    around = {pair: circumstances(pair.a, pair.b) for pair in [*reached, *idle]}
    entries = [entry for found in compared.values() for entry in found]
    return Explanation(
        same=not differing,
        same_bytes=all(a and b and a["sha256"] == b["sha256"] for a, b in entries),
        one_record=all(pair.is_one for pair in pairs),
        causes=_gathered(_of_pairs(reached)),
        without_effect=_gathered(_of_pairs(idle)),
        circumstances=_gathered(_of_pairs(around)),
        n_consequences=sum(not changes for changes in reached.values()),
        n_compared=len(pairs),
        overview=overview,
    )


def _same(sides: tuple[Entry | None, Entry | None]) -> bool:
    a, b = sides
    return a is not None and b is not None and same_content(a, b)


def _entries(
    pair: _Pair, outputs: tuple[str, str] | None
) -> list[tuple[Entry | None, Entry | None]]:
    """Outputs of two records side by side; None where only one has it."""
    if outputs:
        return [(pair.a.outputs.get(outputs[0]), pair.b.outputs.get(outputs[1]))]
    a, b = (
        {entry.get("name") or str(i): entry for i, entry in enumerate(record.outputs.values())}
        for record in (pair.a, pair.b)
    )
    return [(a.get(name), b.get(name)) for name in dict.fromkeys([*a, *b])]


def _walk(roots: list[_Pair], sides: Sides, *, through_same: bool) -> dict[_Pair, list[Change]]:
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
            differ = not _same((one, other))
            some_differ |= differ
            a = sides[0].maker_of(pair.a, one) if one else None
            b = sides[1].maker_of(pair.b, other) if other else None
            before = _pair(a, b) if a and b else None
            if before is None or before.is_one:
                found[pair] += [_of_input(pair, one, other)] if differ else []
            elif differ or through_same:
                waiting.append(before)
        if not found[pair] and not some_differ and not through_same:
            found[pair].append(_unexplained(pair))
    return dict(reversed(found.items()))


def _of_input(pair: _Pair, one: Entry | None, other: Entry | None) -> Change:
    both = ((pair.a, one), (pair.b, other))
    paths = [record.inside(entry["path"]) for record, entry in both if entry is not None]
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


def matched(a: Record, b: Record, sides: Sides) -> list[tuple[Entry | None, Entry | None]]:
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
    maker = records.maker_of(record, entry)
    if maker is None:
        return (entry.get("name"), entry["kind"])
    wildcards = maker.section("wildcards")
    kept = tuple((key, value) for key, value in sorted(wildcards.items()) if key not in PER_RUN)
    path = maker.inside(entry["path"])
    output = maker.outputs.get(path, entry)
    folders = tuple(each for each in path.split("/")[:-1] if each not in wildcards.values())
    return (entry.get("name"), entry["kind"], folders, kept, output.get("name"))


def _of_pairs(pairs: dict[_Pair, list[Change]]) -> Iterator[tuple[Change, str]]:
    return ((change, pair.name) for pair, changes in pairs.items() for change in changes)


def _gathered(found: Iterable[tuple[Change, str]]) -> tuple[Cause, ...]:
    """Each difference once, with all steps that have it; kinds in order, the first steps first."""
    steps: dict[str, tuple[Change, set[str]]] = {}
    for change, step in found:
        steps.setdefault(repr(change), (change, set()))[1].add(step)
    causes = [Cause(change, tuple(sorted(names))) for change, names in steps.values()]
    ranks = {kind: rank for rank, kind in enumerate(KINDS)}
    return tuple(sorted(causes, key=lambda cause: ranks.get(cause.change.kind, len(ranks))))


def overview(sides: Sides) -> Overview:
    """Compare the runs and artifacts of two experiments."""
    a, b = (runs_of(side) for side in sides)
    settings = _gathered(
        (change, run)
        for run in a
        if run in b
        for change in own_changes(a[run], b[run], sides)
        if change.kind in ("rule", "setting", "seed")
    )
    only_a, only_b = (tuple(x for x in one if x not in other) for one, other in ((a, b), (b, a)))
    return Overview(only_a, only_b, settings, _folders(sides))


def _folders(sides: Sides) -> dict[str, dict[str, int]]:
    a, b = (
        {path: made.outputs[path] for path, made in side.makers.items() if not made.is_report}
        for side in sides
    )
    counts: dict[str, Counter[str]] = {}
    for path in sorted({*a, *b}):
        said = "only B" if path not in a else "only A"
        if path in a and path in b:
            said = "same" if same_content(a[path], b[path]) else "different"
        counts.setdefault(path.partition("/")[0], Counter())[said] += 1
    return {folder: dict(found) for folder, found in counts.items()}
