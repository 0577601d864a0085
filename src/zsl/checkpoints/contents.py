"""What the weights of a suite's checkpoints tell about one another.

Of each checkpoint little is kept: digests of its weights, and some hundred thousand of its
coordinates, whose distances stand for those of all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from torch import nn

from zsl.checkpoints.convert import check_step, read
from zsl.checkpoints.errors import CheckpointError
from zsl.checkpoints.formats import format_of_folder
from zsl.checkpoints.patterns import some
from zsl.files import read_json
from zsl.models.olmo.architecture import load_model
from zsl.training.checkpoint import STATE

COORDINATES = 300_000
"""Of a checkpoint's weights, that are kept."""
CLOSER = 0.5
"""A checkpoint jumps where its neighbours are this much closer to each other than to it."""
SHORTER = 0.8
"""Two are exchanged where that much of the way through all is left when they are put in order."""


@dataclass(frozen=True)
class Contents:
    """What is kept of a checkpoint."""

    step: int
    """As its name says."""
    digests: dict[str, str]
    """Of the numbers of each weight in float32, by name."""
    coordinates: np.ndarray
    """The same for all checkpoints of an architecture, (coordinates,) float32."""

    @property
    def digest(self) -> str:
        """Of all weights."""
        return hashlib.sha256("".join(sorted(self.digests.values())).encode()).hexdigest()


@dataclass(frozen=True)
class Oddity:
    """What is wrong between checkpoints of a run."""

    kind: str
    steps: tuple[int, ...]
    text: str


def look(folder: Path, step: int) -> Contents:
    """Read the checkpoint of ``step`` in a folder.

    Raises CheckpointError where it cannot be read, is not finite, or is of another step, and
    TrainingError where it is ours and cannot be read.
    """
    if format_of_folder(folder).kind == "zsl":
        if (own := read_json(folder / STATE).get("step")) != step:
            raise CheckpointError(f"{folder / STATE}: is of step {own!r:.40}, not of step {step:,}")
        return contents(load_model(folder), step)
    found = read(folder)
    check_step(folder, found, step)
    return contents(found.model, step)


def contents(model: nn.Module, step: int) -> Contents:
    """What is kept of a model's weights."""
    weights = {name: weight.detach().float().numpy() for name, weight in model.named_parameters()}
    every = max(1, sum(weight.size for weight in weights.values()) // COORDINATES)
    digests = {
        name: hashlib.sha256(weight.tobytes()).hexdigest() for name, weight in weights.items()
    }
    kept = [weights[name].ravel()[::every] for name in sorted(weights)]
    return Contents(step, digests, np.concatenate(kept))


def oddities(run: list[Contents]) -> Iterator[Oddity]:
    """What is wrong between the checkpoints of a run, in the order of their steps.

    Weights that are equal, that stay as they are while others change, or that are not where those
    of the steps before and after lead one to expect them.
    """
    yield from _equal(run)
    for before, after in pairwise(run):
        yield from _unchanged(before, after)
    if len({len(one.coordinates) for one in run}) == 1:
        yield from _jumps(run)


def _equal(run: list[Contents]) -> Iterator[Oddity]:
    steps: dict[str, list[int]] = {}
    for one in run:
        steps.setdefault(one.digest, []).append(one.step)
    for same in steps.values():
        if len(same) > 1:
            yield Oddity("equal weights", tuple(same), "all weights are the same")


def _unchanged(before: Contents, after: Contents) -> Iterator[Oddity]:
    same = [name for name, digest in after.digests.items() if before.digests.get(name) == digest]
    if same and before.digest != after.digest:
        yield Oddity(
            "weights that do not change",
            (before.step, after.step),
            f"{len(same)} of {len(after.digests)} weights are the same: {some(same)}",
        )


def _jumps(run: list[Contents]) -> Iterator[Oddity]:
    steps = [one.step for one in run]

    def far(i: int, j: int) -> float:
        return float(np.linalg.norm(run[i].coordinates - run[j].coordinates))

    last = len(run) - 1
    for i in range(1, last):
        around, to = far(i - 1, i + 1), min(far(i - 1, i), far(i, i + 1))
        if 0 < around < CLOSER * to:
            yield Oddity(
                "weights that jump",
                (steps[i],),
                f"steps {steps[i - 1]:,} and {steps[i + 1]:,} are {around / to:.2g} times as far "
                "from each other as the nearer of them is from this one",
            )
    if last < 2:
        return
    for end, near, other in ((0, 1, 2), (last, last - 1, last - 2)):
        if 0 < far(end, other) < SHORTER * far(end, near):
            text = f"it is closer to step {steps[other]:,} than to step {steps[near]:,}"
            yield Oddity("weights that jump", (steps[end],), text)
    for i in range(last):
        there = [(i - 1, i, i + 1)] * (i > 0) + [(i + 2, i + 1, i)] * (i + 2 <= last)
        given = sum(far(beside, near) for beside, near, _ in there)
        exchanged = sum(far(beside, other) for beside, _, other in there)
        if 0 < exchanged < SHORTER * given:
            yield Oddity(
                "exchanged steps",
                (steps[i], steps[i + 1]),
                f"in the other order, {1 - exchanged / given:.0%} of the way around them is saved",
            )
