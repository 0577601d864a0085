"""Names that hold a step: of revisions, of folders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from zsl.checkpoints.errors import CheckpointError

LARGEST_STEP = 1 << 62
SHOWN = 5
"""Names shown in messages."""


def by_step(pattern: str | Mapping[int, str], names: Iterable[str]) -> dict[int, str]:
    """The names by their steps, in the order of these.

    ``pattern`` is a name with ``{step}`` for the number, such as ``step{step}-seed-default``,
    where ``*`` stands for anything, or says the name of each step. Raises CheckpointError where
    no name is of this pattern, two are of one step, or one of the map is missing.
    """
    names = list(names)
    if isinstance(pattern, str):
        found = by_run(pattern, names, run="")
        if not found:
            raise CheckpointError(f"no name is of the pattern {pattern!r}; there are {some(names)}")
        return found[""]
    missing = [name for name in pattern.values() if name not in names]
    if missing:
        raise CheckpointError(f"there is no {some(missing)}; there are {some(names)}")
    return dict(sorted(pattern.items()))


def by_run(pattern: str, names: Iterable[str], *, run: str) -> dict[str, dict[int, str]]:
    """The names of ``pattern`` by run and step; the name of the run stands where the pattern has
    ``{run}``, and is ``run`` where it has none.

    Raises CheckpointError where two names are of one run and step.
    """
    expression = _compiled(pattern)
    found: dict[str, dict[int, str]] = {}
    for name in sorted(names):
        match = expression.fullmatch(name)
        if match is None or (step := int(match["step"])) > LARGEST_STEP:
            continue
        steps = found.setdefault(match.groupdict().get("run", run), {})
        if step in steps:
            raise CheckpointError(
                f"{steps[step]!r} and {name!r} are both of step {step} by the pattern {pattern!r}; "
                "give a pattern that tells them apart, or the name of each step"
            )
        steps[step] = name
    return {name: dict(sorted(steps.items())) for name, steps in sorted(found.items())}


def _compiled(pattern: str) -> re.Pattern[str]:
    if pattern.count("{step}") != 1 or pattern.count("{run}") > 1:
        raise CheckpointError(
            f"the pattern {pattern!r} needs {{step}} once, where names have the step, and {{run}} "
            "at most once"
        )
    expression = re.escape(pattern).replace(r"\*", ".*")
    expression = expression.replace(r"\{step\}", "(?P<step>[0-9]{1,19})")
    return re.compile(expression.replace(r"\{run\}", "(?P<run>.+?)"))


def some(names: Iterable[object]) -> str:
    """The first few of some names, for a message."""
    listed = [str(name)[:100] for name in names]
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return (", ".join(listed[:SHOWN]) + more) or "none"
