"""How two jobs differ in themselves: not in what they were given, but in what they are."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from zsl.audit.changes import Change, definitions, said_of, setting_changes, source_of
from zsl.audit.tree import raw_sources
from zsl.lineage.store import Record, Records, settings_of

Sides = tuple[Records, Records]


def own_changes(a: Record, b: Record, sides: Sides) -> list[Change]:
    """What can be the reason of other bytes: rule, text, seeds, settings, code, packages, device.

    Settings and code of jobs of different rules are not compared.
    """
    own = [Change("rule", "of the step", a.rule, b.rule)]
    if a.rule == b.rule:
        pins = (a.section("params").get("packages", {}), b.section("params").get("packages", {}))
        own = [*_settings(a, b), *setting_changes(*pins, "package"), *_modules(a, b, sides)]
    before, now = ({"version": _environment(each, "python")} for each in (a, b))
    return [
        *_sources(a, b, sides),
        *own,
        *_installed(a, b, counted=True),
        *setting_changes(before, now, "python"),
        *_compared(a, b, "device"),
        *_compared(a, b, "threads"),
    ]


def circumstances(a: Record, b: Record) -> list[Change]:
    """What differs besides and is no reason by itself: the commit, packages that do not count."""
    return [*_installed(a, b, counted=False), *_compared(a, b, "git")]


def _installed(a: Record, b: Record, *, counted: bool) -> list[Change]:
    """Packages of which other versions or builds were installed; ``counted`` are those that both
    jobs have under one pin, not counted are those that neither has."""
    before, now = (_environment(each, "packages") or {} for each in (a, b))
    pins = [each.section("params").get("packages", {}) for each in (a, b)]
    names = {name for name, pin in pins[0].items() if pins[1].get(name, ...) == pin}
    if not counted:
        names = {*before, *now} - {*pins[0], *pins[1]}
    return [
        Change("installed package" if counted else "other package", name, *versions)
        for name in sorted(names)
        if (versions := (before.get(name), now.get(name)))[0] != versions[1]
        and not (counted and None in versions)
    ]


def _environment(record: Record, key: str) -> Any:
    return record.section("environment").get(key)


def _compared(a: Record, b: Record, key: str) -> list[Change]:
    return setting_changes(a.section(key), b.section(key), key)


def _settings(a: Record, b: Record) -> list[Change]:
    """Settings, seeds and words, which are written, too."""
    seeds = {*a.section("seeds"), *b.section("seeds")}
    sides = (settings_of(each.section("params"), "caption") for each in (a, b))
    changes = setting_changes(*map(_without_start, sides, (a.start, b.start)))
    return [
        replace(change, kind="seed") if change.name in seeds else change
        for change in changes
        if not _stands_for_others(change, changes)
    ]


def _stands_for_others(change: Change, changes: list[Change]) -> bool:
    """Whether it only says that a mapping was empty, of which others say what it holds."""
    empty = {} in (change.before, change.now) and None in (change.before, change.now)
    return empty and any(other.name.startswith(f"{change.name}.") for other in changes)


def _without_start(value: Any, start: str) -> Any:
    """Values with the folder of results taken off paths, since that is the experiment's name."""
    if isinstance(value, dict):
        return {key: _without_start(item, start) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_start(item, start) for item in value]
    return value.removeprefix(start) if isinstance(value, str) and start else value


def _sources(a: Record, b: Record, sides: Sides) -> list[Change]:
    before, now = (
        {source.origin: source.sha256 for source in raw_sources(record, records)}
        for record, records in zip((a, b), sides, strict=True)
    )
    return [
        Change("source", origin, before.get(origin), now.get(origin))
        for origin in dict.fromkeys([*before, *now])
        if before.get(origin) != now.get(origin)
    ]


def _modules(a: Record, b: Record, sides: Sides) -> Iterator[Change]:
    """Modules that counted for two jobs and are not the same, with the functions that differ."""
    for name in sorted({*a.modules, *b.modules}):
        old, new = a.modules.get(name), b.modules.get(name)
        if old == new:
            continue
        if old is None or new is None:
            said = f"counts only for {'B' if old is None else 'A'}"
        else:
            paths = _kept(name, (old, new), sides)
            there = all(path.is_file() for path in paths)
            said = said_of(*paths) if there else "changed (its source is not kept)"
        yield Change("module", name, old, new, said)


def _kept(name: str, digests: tuple[str, str], sides: Sides) -> tuple[Path, Path]:
    """Where both sides keep the source of a module."""
    suffix = Path(name).suffix if "/" in name else ".py"
    before, now = (s.code / f"{digest}{suffix}" for s, digest in zip(sides, digests, strict=True))
    return before, now


def source_diff(change: Change, sides: Sides) -> list[str]:
    """Lines of a unified diff of the definitions of a module that changed.

    Comments and docstrings are left out, as they do not count.
    """
    if change.kind != "module" or change.before is None or change.now is None:
        return []
    paths = _kept(change.name, (change.before, change.now), sides)
    if not all(path.is_file() and path.suffix == ".py" for path in paths):
        return []
    old, new = (definitions(source_of(path)) for path in paths)
    lines: list[str] = []
    for name in dict.fromkeys([*old, *new]):
        before, now = (side.get(name, "").splitlines() for side in (old, new))
        names = (f"A: {change.name}: {name}", f"B: {change.name}: {name}")
        lines += difflib.unified_diff(before, now, *names, lineterm="")
    return lines
