"""How two jobs differ in themselves: not in what they were given, but in what they are."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from zsl.audit.changes import (
    Change,
    definitions,
    parameter_changes,
    said_of,
    setting_changes,
    source_of,
)
from zsl.audit.tree import raw_of
from zsl.lineage.history import CODE, LINEAGE
from zsl.lineage.store import Record, Records

NO_CAUSES = ("state", "blocks", "threads", "shown")
"""Parameters that are compared elsewhere (threads, captions), or say where files lie."""


def own_changes(a: Record, b: Record, sides: tuple[Records, Records]) -> list[Change]:
    """What can be the reason of other bytes: rule, text, seeds, settings, code, packages, device.

    Settings and code of jobs of different rules are not compared.
    """
    of_rule = [Change("rule", "of the step", a.content["rule"], b.content["rule"])]
    return [
        *_sources(a, b, sides),
        *([*_parameters(a, b), *modules(a, b, sides)] if _same_rule(a, b) else of_rule),
        *_installed(a, b),
        *_environment(a, b, "python"),
        *_compared(a, b, "device"),
        *_compared(a, b, "threads"),
    ]


def circumstances(a: Record, b: Record) -> list[Change]:
    """What differs besides and is no reason by itself: the commit, packages that do not count."""
    counted = {*_pins(a), *_pins(b)}
    others = setting_changes(_packages(a), _packages(b), "other package")
    return [change for change in others if change.name not in counted] + _compared(a, b, "git")


def _installed(a: Record, b: Record) -> list[Change]:
    """Packages that count, under one pin, of which another version or build was installed."""
    before, now = _packages(a), _packages(b)
    return [
        Change("installed package", name, before[name], now[name])
        for name, _ in sorted(_pins(a).items() & _pins(b).items())
        if name in before and name in now and before[name] != now[name]
    ]


def _pins(record: Record) -> dict[str, str]:
    return record.content.get("params", {}).get("packages") or {}


def _packages(record: Record) -> dict[str, str]:
    found: dict[str, str] = record.content.get("environment", {}).get("packages", {})
    return found


def _same_rule(a: Record, b: Record) -> bool:
    return bool(a.content["rule"] == b.content["rule"])


def _compared(a: Record, b: Record, key: str) -> list[Change]:
    return setting_changes(a.content.get(key, {}), b.content.get(key, {}), key)


def _environment(a: Record, b: Record, key: str) -> list[Change]:
    before, now = (side.content.get("environment", {}).get(key) for side in (a, b))
    return [Change(key, "version", before, now)] if before != now else []


def _parameters(a: Record, b: Record) -> list[Change]:
    seeds = {*a.content.get("seeds", {}), *b.content.get("seeds", {})}
    changes = parameter_changes(_comparable(a), _comparable(b))
    return [
        replace(change, kind="seed") if change.name in seeds else change
        for change in changes
        if not _stands_for_others(change, changes)
    ]


def _stands_for_others(change: Change, changes: list[Change]) -> bool:
    """Whether it only says that a mapping was empty, of which others say what it holds."""
    empty = {} in (change.before, change.now) and None in (change.before, change.now)
    return empty and any(other.name.startswith(f"{change.name}.") for other in changes)


def _comparable(record: Record) -> dict[str, Any]:
    params = record.content.get("params", {})
    kept = {key: value for key, value in params.items() if key not in NO_CAUSES}
    inside: dict[str, Any] = _without_start(kept, record.start)
    return inside


def _without_start(value: Any, start: str) -> Any:
    """Values with the folder of results taken off paths, since that is the experiment's name."""
    if isinstance(value, dict):
        return {key: _without_start(item, start) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_start(item, start) for item in value]
    return value.removeprefix(start) if isinstance(value, str) and start else value


def _sources(a: Record, b: Record, sides: tuple[Records, Records]) -> list[Change]:
    before, now = (
        {raw.origin: raw.sha256 for raw in raw_of(record, side)}
        for record, side in zip((a, b), sides, strict=True)
    )
    return [
        Change("source", origin, before.get(origin), now.get(origin))
        for origin in dict.fromkeys([*before, *now])
        if before.get(origin) != now.get(origin)
    ]


def modules(a: Record, b: Record, sides: tuple[Records, Records]) -> Iterator[Change]:
    """Modules that counted for two jobs and are not the same, with the functions that differ."""
    before, now = (side.content.get("code", {}).get("modules", {}) for side in (a, b))
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if old is None or new is None:
            said = f"counts only for {'B' if old is None else 'A'}"
        else:
            paths = [_kept(side, name, hex) for side, hex in zip(sides, (old, new), strict=True)]
            there = all(path.is_file() for path in paths)
            said = said_of(*paths) if there else "changed (its source is not kept)"
        yield Change("module", name, old, new, said)


def _kept(records: Records, name: str, digest: str) -> Path:
    suffix = Path(name).suffix if "/" in name else ".py"
    return records.results / LINEAGE / CODE / f"{digest}{suffix}"


def source_diff(change: Change, sides: tuple[Records, Records]) -> list[str]:
    """Lines of a unified diff of the definitions of a module that changed.

    Comments and docstrings are left out, as they do not count.
    """
    if change.kind != "module" or change.before is None or change.now is None:
        return []
    paths = [
        _kept(side, change.name, digest)
        for side, digest in zip(sides, (change.before, change.now), strict=True)
    ]
    if not all(path.is_file() and path.suffix == ".py" for path in paths):
        return []
    old, new = (definitions(source_of(path)) for path in paths)
    lines: list[str] = []
    for name in dict.fromkeys([*old, *new]):
        before, now = (side.get(name, "").splitlines() for side in (old, new))
        names = (f"A: {change.name}: {name}", f"B: {change.name}: {name}")
        lines += difflib.unified_diff(before, now, *names, lineterm="")
    return lines
