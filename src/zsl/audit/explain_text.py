"""An explanation in words, as JSON, and in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from zsl.audit.causes import Sides, source_diff
from zsl.audit.changes import Change
from zsl.audit.explain import Cause, Explanation, Overview
from zsl.audit.tree_text import SHORT, counted

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

Names = tuple[str, str]


def as_text(found: Explanation, names: Names, sides: Sides, *, diff: bool) -> str:
    """The explanation for people; ``diff`` shows the source of what changed."""
    lines = [f"A: {names[0]}", f"B: {names[1]}", ""]
    if found.overview:
        lines += _overview(found.overview)
    elif found.one_record:
        lines.append("One job made both.")
    elif found.same:
        same = "have the same bytes" if found.same_bytes else "say the same, in other bytes"
        lines.append(f"They {same}.")
    else:
        lines.append("They have other bytes.")
    if found.causes:
        lines += ["", "First causes:", *_listed(found.causes, CAUSES, sides, diff=diff)]
    if found.n_consequences:
        steps = counted(found.n_consequences, "further step")
        lines += ["", f"{steps} differ only in what they read."]
    if found.without_effect:
        lines += ["", "Differs too, where the bytes are the same or none came from it:"]
        lines += _listed(found.without_effect, LISTED, sides, diff=diff)
    if found.circumstances:
        lines += ["", "Recorded besides, and no reason by itself:"]
        lines += _listed(found.circumstances, LISTED, sides, diff=False)
    return "\n".join([*lines, "", sentence(found)])


def _overview(seen: Overview) -> list[str]:
    lines = []
    for side, runs in (("A", seen.only_a), ("B", seen.only_b)):
        lines += [f"Runs only in {side}: {', '.join(runs)}"] if runs else []
    if seen.settings:
        lines += ["Settings of runs:"]
        lines += [f"  {_change(c.change)} ({_some(c.steps, STEPS)})" for c in seen.settings]
    lines += ["Artifacts:"]
    for folder, counts in seen.folders.items():
        lines.append(f"  {folder}: {', '.join(f'{n} {said}' for said, n in counts.items())}")
    return lines


def _listed(causes: Sequence[Cause], most: int, sides: Sides, *, diff: bool) -> Iterator[str]:
    steps: tuple[str, ...] = ()
    for cause in causes[:most]:
        if cause.steps != steps:
            steps = cause.steps
            yield f"  {_some(steps, STEPS)}:"
        yield f"    {_change(cause.change)}"
        if diff:
            yield from (f"      {line}" for line in source_diff(cause.change, sides))
    if len(causes) > most:
        yield f"  and {len(causes) - most} more (--json)"


def _change(change: Change) -> str:
    before, now = change.before, change.now
    if change.kind == "unexplained":
        return change.said
    if change.kind == "source":
        digests = (side[:SHORT] if side else "nothing" for side in (before, now))
        return f"raw source {change.name}: {' -> '.join(digests)}"
    if isinstance(before, list) and isinstance(now, list):
        sides = (("A", before, now), ("B", now, before))
        only = (
            (side, [value for value in one if value not in other]) for side, one, other in sides
        )
        said = [f"only {side} has {_some(values, VALUES)}" for side, values in only if values]
        order = f"{_some(before, VALUES)} -> {_some(now, VALUES)}"
        return f"{change.kind} {change.name}: {'; '.join(said) or order}"
    return str(change)


def _some(values: Sequence[Any], most: int) -> str:
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(map(str, values[:most])) + more


def sentence(found: Explanation) -> str:
    """What it comes to."""
    others = _others(found.overview)
    if not found.n_compared:
        return f"Conclusion: they have no artifact in common; {others}."
    if found.one_record and not found.same:
        return "Conclusion: they differ because they are two outputs of one job."
    if found.one_record and not others:
        return "Conclusion: they are the same, down to their records."
    if found.same:
        same = "what both have is the same" if found.overview else "they are the same"
        if found.without_effect:
            return f"Conclusion: {same}, although this differs: {_said(found.without_effect)}."
        return (
            f"Conclusion: {same}{f'; but {others}' if others else ', and so is all that counts'}."
        )
    if all(cause.change.kind == "unexplained" for cause in found.causes):
        return (
            "Conclusion: they differ, and nothing that is recorded explains it: "
            f"repeating {_some([c.change.name for c in found.causes], STEPS)} gave other bytes."
        )
    also = f"; {others}" if others else ""
    return f"Conclusion: they differ because of {_said(found.causes)}{also}."


def _others(seen: Overview | None) -> str:
    """What only one of two experiments has."""
    if seen is None:
        return ""
    said = []
    for what in ("run", "artifact"):
        for side, only in (("A", seen.only_a), ("B", seen.only_b)):
            n = len(only)
            if what == "artifact":
                n = sum(counts.get(f"only {side}", 0) for counts in seen.folders.values())
            said += [f"only {side} has {counted(n, what)}"] if n else []
    return " and ".join(said)


def _said(causes: Sequence[Cause]) -> str:
    """The first causes in a line; long ones are only named."""
    whole = ((cause.change, _change(cause.change)) for cause in causes[:STEPS])
    said = [text if len(text) <= LONG else f"{each.kind} {each.name}" for each, text in whole]
    more = [f"and {len(causes) - STEPS} more"] if len(causes) > STEPS else []
    return "; ".join([*said, *more])


def as_json(found: Explanation, names: Names, sides: Sides, *, diff: bool) -> dict[str, Any]:
    """The explanation for programs."""

    def plain(causes: Sequence[Cause]) -> list[dict[str, Any]]:
        return [
            {
                **vars(cause.change),
                "steps": [*cause.steps],
                **({"diff": source_diff(cause.change, sides)} if diff else {}),
            }
            for cause in causes
        ]

    seen, known = found.overview, {}
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
        "sentence": sentence(found),
    }
