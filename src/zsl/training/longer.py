"""Runs that are longer than what was trained of them, and would begin a segment again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zsl.config.grids import Segment
from zsl.config.load import Plan
from zsl.config.schema import EXTENSIBLE

MANIFEST = ".manifest.json"


def begun_again(plan: Plan, results: Path) -> list[str]:
    """What to set for each run whose last segment in ``results`` is only a part of one now."""
    return [*_begun_again(plan, results)]


def _begun_again(plan: Plan, results: Path) -> Iterator[str]:
    for id, run in plan.trained.items():
        if run.schedule.name not in EXTENSIBLE:
            continue
        names = (results / "training" / id).glob(f"[0-9]*-[0-9]*{MANIFEST}")
        made = [Segment.parse(path.name.removesuffix(MANIFEST)) for path in names]
        last = max(made, key=lambda segment: segment.end, default=None)
        for now in plan.layout(id).segments:
            if last and now.start == last.start and now.end > last.end:
                earlier = [*run.checkpoints.extended_from, last.end]
                yield (
                    f"{id} was trained to step {last.end} and begins again at step {now.start}; "
                    f"to train only what is new, set its checkpoints.extended_from: {earlier}"
                )
