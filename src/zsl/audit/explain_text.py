"""An explanation in words, as JSON, and in one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from zsl.audit.causes import source_diff
from zsl.audit.changes import Change
from zsl.audit.explain import Cause, Explanation, Overview
from zsl.lineage.store import Records

CAUSES = 40
"""Causes that are listed, before the rest are counted."""
LISTED = 12
"""Differences that had no effect, before the rest are counted."""
STEPS = 3
"""Steps that are named of one difference, before the rest are counted."""
VALUES = 8
"""Values that only one of two lists has, before the rest are counted."""
LONG = 90
"""Characters of a cause from which the sentence only names it."""
SAID = 3
"""Causes that the sentence names."""
SHORT = 12
"""Digits of a digest that are shown."""

Sides = tuple[Records, Records]
Names = tuple[str, str]


def as_text(
    found: Explanation, names: Names, sides: Sides, seen: Overview | None = None, *, diff: bool
) -> str:
    """The explanation for people; ``diff`` shows the source of what changed."""
    lines = [f"A: {names[0]}", f"B: {names[1]}", "", *_first(found, seen)]
    lines += _overview(seen) if seen else []
    if found.causes:
        lines += ["", "First causes:", *_listed(found.causes[:CAUSES], sides, diff=diff)]
        lines += _more(found.causes, CAUSES)
    if found.n_consequences:
        lines += ["", f"{_n(found.n_consequences, 'further step')} differ only in what they read."]
    if found.without_effect:
        lines += ["", "Differs too, where the bytes are the same or none came from it:"]
        lines += _listed(found.without_effect[:LISTED], sides, diff=diff)
        lines += _more(found.without_effect, LISTED)
    lines += _circumstances(found)
    return "\n".join([*lines, "", sentence(found, seen)])


def _first(found: Explanation, seen: Overview | None) -> list[str]:
    if seen:
        return []
    if found.one_record:
        return ["One job made both."]
    if found.same_bytes:
        return ["They have the same bytes."]
    return ["They say the same, in other bytes." if found.same else "They have other bytes."]


def _overview(seen: Overview) -> list[str]:
    lines = []
    for side, runs in (("A", seen.only_a), ("B", seen.only_b)):
        lines += [f"Runs only in {side}: {', '.join(runs)}"] if runs else []
    if seen.settings:
        lines += ["Settings of runs:"]
        lines += [f"  {_change(c.change)} ({_some(c.steps)})" for c in seen.settings]
    lines += ["Artifacts:"]
    for folder, counts in seen.folders.items():
        lines.append(f"  {folder}: {', '.join(f'{n} {said}' for said, n in counts.items())}")
    return lines


def _listed(causes: Iterable[Cause], sides: Sides, *, diff: bool) -> Iterator[str]:
    steps: tuple[str, ...] = ()
    for cause in causes:
        if cause.steps != steps:
            steps = cause.steps
            yield f"  {_some(steps)}:"
        yield f"    {_change(cause.change)}"
        if diff:
            yield from (f"      {line}" for line in source_diff(cause.change, sides))


def _more(causes: Sequence[Cause], listed: int) -> list[str]:
    return [f"  and {len(causes) - listed} more (--json)"] if len(causes) > listed else []


def _change(change: Change) -> str:
    if change.kind == "unexplained":
        return change.said
    if change.kind == "source":
        digests = (side[:SHORT] if side else "nothing" for side in (change.before, change.now))
        return f"raw source {change.name}: {' -> '.join(digests)}"
    if isinstance(change.before, list) and isinstance(change.now, list):
        return f"{change.kind} {change.name}: {_of_lists(change.before, change.now)}"
    return str(change)


def _of_lists(before: list[Any], now: list[Any]) -> str:
    gone = [value for value in before if value not in now]
    new = [value for value in now if value not in before]
    sides = (("A", gone), ("B", new))
    said = [f"only {side} has {_values(values)}" for side, values in sides if values]
    return "; ".join(said) or f"{_values(before)} -> {_values(now)}"


def _values(values: list[Any]) -> str:
    more = f" and {len(values) - VALUES} more" if len(values) > VALUES else ""
    return ", ".join(map(str, values[:VALUES])) + more


def _circumstances(found: Explanation) -> list[str]:
    if not found.circumstances:
        return []
    lines = ["", "Recorded besides, and no reason by itself:"]
    commits = [cause for cause in found.circumstances if cause.change.kind == "git"]
    packages = [cause for cause in found.circumstances if cause.change.kind != "git"]
    for cause in packages[:LISTED]:
        lines.append(f"  {_change(cause.change)} ({_n(len(cause.steps), 'step')})")
    lines += _more(packages, LISTED)
    if commits:
        n_steps = len({step for cause in commits for step in cause.steps})
        some = next((c.change for c in commits if c.change.name == "commit"), commits[0].change)
        values = [str(value)[:SHORT] for value in (some.before, some.now)]
        lines.append(f"  git {some.name}: {' -> '.join(values)} ({_n(n_steps, 'step')} in all)")
    return lines


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - STEPS} more" if len(names) > STEPS else ""
    return ", ".join(names[:STEPS]) + more


def _n(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def sentence(found: Explanation, seen: Overview | None = None) -> str:
    """What it comes to."""
    if not found.n_compared:
        return f"Conclusion: they have no artifact in common; {_others(seen)}."
    if found.one_record and not found.same:
        return "Conclusion: they differ because they are two outputs of one job."
    if found.one_record and not _others(seen):
        return "Conclusion: they are the same, down to their records."
    if found.same:
        same = "what both have is the same" if seen else "they are the same"
        if found.without_effect:
            return f"Conclusion: {same}, although this differs: {_said(found.without_effect)}."
        also = f"; but {_others(seen)}" if _others(seen) else ", and so is all that counts"
        return f"Conclusion: {same}{also}."
    if all(cause.change.kind == "unexplained" for cause in found.causes):
        steps = _some(tuple(cause.change.name for cause in found.causes))
        return (
            "Conclusion: they differ, and nothing that is recorded explains it: "
            f"repeating {steps} gave other bytes."
        )
    also = f"; {_others(seen)}" if _others(seen) else ""
    return f"Conclusion: they differ because of {_said(found.causes)}{also}."


def _others(seen: Overview | None) -> str:
    if seen is None:
        return ""
    runs = [
        f"only {side} has {_n(len(runs), 'run')}"
        for side, runs in (("A", seen.only_a), ("B", seen.only_b))
        if runs
    ]
    alone = {
        side: sum(counts.get(f"only {side}", 0) for counts in seen.folders.values())
        for side in ("A", "B")
    }
    return " and ".join(
        [*runs, *(f"only {side} has {_n(n, 'artifact')}" for side, n in alone.items() if n)]
    )


def _said(causes: tuple[Cause, ...]) -> str:
    more = f"; and {len(causes) - SAID} more" if len(causes) > SAID else ""
    return "; ".join(_named(cause.change) for cause in causes[:SAID]) + more


def _named(change: Change) -> str:
    said = _change(change)
    return said if len(said) <= LONG else f"{change.kind} {change.name}"


def as_json(
    found: Explanation, names: Names, sides: Sides, seen: Overview | None = None, *, diff: bool
) -> dict[str, Any]:
    """The explanation for programs."""

    def plain(causes: tuple[Cause, ...]) -> list[dict[str, Any]]:
        return [
            {
                **cause.change.plain(),
                "steps": [*cause.steps],
                **({"diff": source_diff(cause.change, sides)} if diff else {}),
            }
            for cause in causes
        ]

    known: dict[str, Any] = {}
    if seen:
        known = {
            "runs_only_a": [*seen.only_a],
            "runs_only_b": [*seen.only_b],
            "settings": plain(seen.settings),
            "artifacts": seen.folders,
        }
    return {
        "a": names[0],
        "b": names[1],
        "same_content": found.same,
        "same_bytes": found.same_bytes,
        "one_record": found.one_record,
        **known,
        "causes": plain(found.causes),
        "consequences": found.n_consequences,
        "without_effect": plain(found.without_effect),
        "circumstances": plain(found.circumstances),
        "sentence": sentence(found, seen),
    }
