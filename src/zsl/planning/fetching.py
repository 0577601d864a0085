"""In which order checkpoints of others are fetched, so that few of them lie on the disk."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from zsl.config.elsewhere import Elsewhere, Fetched
from zsl.config.flops import FLOAT
from zsl.config.load import Plan
from zsl.config.measurements import MEASUREMENTS
from zsl.errors import ConfigError
from zsl.planning.jobs import Jobs
from zsl.registry.target import Target

Place = tuple[str, str]
"""Run and segment."""
FILES = ("config.*", "model*", "optim*", "pytorch_model*", "state.json")
"""Files of a checkpoint that may be read."""
MOMENTS = 2
"""What an optimizer keeps for each weight."""


@dataclass(frozen=True)
class Window:
    """The order of the fetched checkpoints: by run, by step."""

    before: dict[Place, Place | None] = field(default_factory=dict)
    """The last one that has to be dropped before a place is fetched."""
    previous: dict[Place, Place | None] = field(default_factory=dict)
    """The one just before a place."""

    @staticmethod
    def of(
        plan: Plan, parameters: Mapping[str, int], allowed: Fetched, done: Container[Place] = ()
    ) -> Window:
        """The order of a plan's fetched runs with so many ``parameters``, but for what is ``done``.

        Where the configuration says no number, as many follow one another as its gigabytes hold,
        each twice (as it came, and as it is read), but two at least.
        """
        every = [(id, part.name) for id in parameters for part in plan.layout(id).segments]
        places = [place for place in every if place not in done]
        counts = [len(plan.layout(id).blocks[segment]) for id, segment in places]
        sizes = [
            2 * FLOAT * parameters[id] * (1 + MOMENTS * _source(plan, id).optimizer) * count
            for (id, _), count in zip(places, counts, strict=True)
        ]

        def fit(first: int, last: int) -> bool:
            """Whether the places from the first to the last may lie on the disk at once."""
            count = sum(counts[first : last + 1])
            if allowed.on_disk is not None:
                return count <= allowed.on_disk
            return last - first < 2 or sum(sizes[first : last + 1]) <= allowed.gigabytes * 1e9

        before: dict[Place, Place | None] = {}
        for i, place in enumerate(places):
            first = next(first for first in range(i + 1) if first == i or fit(first, i))
            before[place] = places[first - 1] if first else None
        return Window(before, dict(zip(places, [None, *places], strict=False)))


def _source(plan: Plan, id: str) -> Elsewhere:
    source = plan.runs[id].source
    assert source is not None
    return source


def asked_targets(words: Sequence[str], targets: Mapping[str, Target]) -> list[Target]:
    """The figures and tables that are asked for by ``words``, Snakemake's targets.

    A file is asked for by its name, or the measurement or curve that it is of; ``all``, and what
    is not known, stand for all.
    """
    if not words or "all" in words:
        return [*targets.values()]
    found: dict[str, Target] = {}
    for word in words:
        parts = {Path(word).stem, *Path(word).parts}
        named = [target for target in targets.values() if target.id in parts]
        read = [target for target in targets.values() if parts & {*target.inputs}]
        main = [target for target in targets.values() if target.suites == ("main",)]
        for target in named or read or (main if word == "main" else []):
            found[target.id] = target
    return [*found.values()]


def waited_for(plan: Plan, targets: Iterable[Target]) -> dict[Place, list[str]]:
    """The measurements of each fetched checkpoint that these targets need."""
    found: dict[Place, list[str]] = {}
    for job in sorted(Jobs(plan).needed(targets)):
        kind = MEASUREMENTS.get(job.rule)
        if kind and kind.reads != "losses" and plan.runs[job.of].source:
            found.setdefault((job.of, job.part), []).append(job.rule)
    return found


def forget(paths: Iterable[str], folder: Path) -> None:
    """Remove what Snakemake remembers of files in ``folder`` (``.snakemake/metadata``): that the
    order of fetching was another in an earlier call is no reason to fetch again. What matters are
    parameters of the measurements, too."""
    for path in paths:
        with suppress(OSError):
            (folder / urlsafe_b64encode(path.encode()).decode()).unlink()


def checkpoints_of(source: Elsewhere, steps: Iterable[int]) -> list[Path]:
    """Files of checkpoints that lie in folders here; none where they are fetched.

    Raises ConfigError where there is no such folder.
    """
    if source.folder is None:
        return []
    folder, found = Path(source.folder), []
    for step in steps:
        if isinstance(source.revision, dict):
            here = [folder / source.revision[step]]
        else:
            pattern = re.escape(source.revision).replace(r"\*", ".*")
            pattern = pattern.replace(r"\{step\}", f"0*{step}")
            names = folder.iterdir() if folder.is_dir() else ()
            here = [path for path in names if re.fullmatch(pattern, path.name)]
        if len(here) != 1 or not here[0].is_dir():
            raise ConfigError(
                f"source.folder = {str(folder)!r}: has no folder {source.revision!r} of step "
                f"{step:,}; correct folder, revision or steps"
            )
        found += sorted(path for name in FILES for path in here[0].glob(name))
    return found
