"""In which order checkpoints of others are fetched, so that few of them lie on the disk."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from zsl.config.elsewhere import Elsewhere, Fetched
from zsl.config.flops import FLOAT
from zsl.config.load import Plan
from zsl.config.measurements import MEASUREMENTS
from zsl.errors import ConfigError
from zsl.planning.jobs import Job, Jobs
from zsl.registry import available
from zsl.registry.target import InputKind

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
            if first + 1 == last and _differ(plan, places[first], places[last]):
                return True  # whatever is allowed: the update of one is its difference to the next
            count = sum(counts[first : last + 1])
            if allowed.on_disk is not None:
                return count <= allowed.on_disk
            return last - first < 2 or sum(sizes[first : last + 1]) <= allowed.gigabytes * 1e9

        before: dict[Place, Place | None] = {}
        for i, place in enumerate(places):
            first = next(first for first in range(i + 1) if first == i or fit(first, i))
            before[place] = places[first - 1] if first else None
        return Window(before, dict(zip(places, [None, *places], strict=False)))


def _differ(plan: Plan, place: Place, following: Place) -> bool:
    """Whether a checkpoint is measured along its difference to the following one."""
    return place[0] == following[0] and plan.runs[place[0]].by_difference


def _source(plan: Plan, id: str) -> Elsewhere:
    source = plan.runs[id].source
    assert source is not None
    return source


def waited_for(plan: Plan, words: Sequence[str]) -> dict[Place, list[str]]:
    """The measurements of each fetched checkpoint that Snakemake's targets ``words`` need."""
    found: dict[Place, list[str]] = {}
    jobs = Jobs(plan)
    for job in sorted(jobs.closure(_asked(jobs, words))):
        kind = MEASUREMENTS.get(job.rule)
        if kind and kind.reads != "losses" and plan.runs[job.of].source:
            found.setdefault((job.of, job.part), []).append(job.rule)
    return found


def _asked(jobs: Jobs, words: Sequence[str]) -> Iterator[Job]:
    """The jobs that make what is asked for: figures and tables by name or file, ``main``, curves,
    fits and measurements by file; nothing, or ``all``, is everything. Other words are left out:
    what they need is fetched in no order."""
    targets = {target.id: target for target in available(jobs.plan)}
    if not words or "all" in words:
        yield from jobs.needed(targets.values())
    for word in words:
        *folders, name = Path(word).parts
        stem, folder = Path(name).stem, folders[-1] if folders else ""
        if stem in targets:
            yield from jobs.needed([targets[stem]])
        elif word == "main":
            yield from jobs.needed(t for t in targets.values() if t.suites == ("main",))
        elif folder == "fits":
            yield Job("fit", stem)
        elif "curves" in folders:
            yield jobs.curve(cast(InputKind, folder), stem)
        elif "measurements" in folders:
            yield Job(folders[-2], folder, stem)


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
