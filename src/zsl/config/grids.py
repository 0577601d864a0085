"""Steps: which checkpoints a run keeps, and how it is cut into segments and blocks.

A segment is named by its steps: ``00001024-00002048`` starts from checkpoint 1024 and owns
the steps 1024 < s <= 2048; the first one, ``00000000-...``, owns step 0, too. Nothing here
depends on the total number of steps except where a run ends, so that a longer run shares all
full segments of a shorter one, and the last one, too, where it is told where that one ended.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zsl.config.schema import Checkpoints

NEAR = 1.9, 2.1
"""How many times the step of its start an interval between checkpoints of others may end at."""
MOST_STEPS = 100_000
"""That are written as one word."""


def powers_of_two(last: int) -> list[int]:
    """1, 2, 4, ... up to and including ``last`` where it is a power of two."""
    return [1 << i for i in range(last.bit_length())]


def steps_of(written: str) -> list[int]:
    """Steps from ``1000``, ``2^0..2^18`` (powers of two) or ``0..143000:1000``.

    Raises ValueError for anything else.
    """
    if written.isdecimal():
        return [int(written)]
    if match := re.fullmatch(r"2\^(\d{1,2})(?:\.\.2\^(\d{1,2}))?", written):
        return [1 << i for i in range(int(match[1]), int(match[2] or match[1]) + 1)]
    if match := re.fullmatch(r"(\d{1,15})\.\.(\d{1,15}):([1-9]\d{0,14})", written):
        steps = range(int(match[1]), int(match[2]) + 1, int(match[3]))
        if len(steps) <= MOST_STEPS:
            return list(steps)
    raise ValueError(f"{written} are no steps: 1000, 2^0..2^18, 0..143000:1000")


def measured_steps(steps: int, also: Sequence[int]) -> list[int]:
    """Checkpoints of a run of ``steps`` steps on which everything is measured, ascending.

    0, every 2^i (Section A.1), the last step, and those asked for in ``also``.
    """
    return sorted({0, *powers_of_two(steps), steps, *also})


def step_grids(steps: int, decades: bool, every: int | None) -> dict[str, tuple[int, ...]]:
    """The further checkpoints of Fig. 15, ascending, by the name of their grid.

    ``decades``: 1 to 10, 20 to 100, 200 to 1000, and so on; ``every``: 0, and its multiples.
    """
    grids: dict[str, tuple[int, ...]] = {}
    if decades:
        powers = [10**e for e in range(len(str(steps)))]
        digits = {d * power for power in powers for d in range(1, 10)}
        grids["decades"] = tuple(sorted(step for step in digits if step <= steps))
    if every is not None:
        grids["every"] = tuple(range(0, steps + 1, every))
    return grids


@dataclass(frozen=True, order=True)
class Segment:
    """A part of a run that one job trains: the steps ``start`` < s <= ``end``."""

    start: int
    end: int

    @property
    def name(self) -> str:
        """Such as ``00001024-00002048``."""
        return f"{self.start:08d}-{self.end:08d}"

    @staticmethod
    def parse(name: str) -> Segment:
        """The segment of a name."""
        start, end = name.split("-")
        return Segment(int(start), int(end))

    def owns(self, step: int) -> bool:
        """Whether a checkpoint at ``step`` is written by this segment."""
        return self.start < step <= self.end or step == self.start == 0


def segments(steps: int, first: int, extended_from: Sequence[int] = ()) -> list[Segment]:
    """The chain of segments of a run, which end at ``first``, 2·``first``, ..., and the last step.

    Also at ``extended_from``, where the run ended when it was shorter.
    """
    regular = [first << i for i in range(steps.bit_length()) if (first << i) < steps]
    ends = sorted({*regular, *extended_from, steps})
    return [Segment(start, end) for start, end in pairwise([0, *ends])]


def checkpoint_name(step: int) -> str:
    """Name of a checkpoint's folder and HDF5 group, such as ``step00004096``."""
    return f"step{step:08d}"


def doubling_pairs(steps: Sequence[int]) -> list[tuple[int, int]]:
    """The intervals [t, 2t] of Fig. 3 whose both ends are in ``steps``, by t (t >= 1)."""
    kept = set(steps)
    return [(t, 2 * t) for t in sorted(kept) if t > 0 and 2 * t in kept]


def near_doublings(steps: Sequence[int]) -> list[tuple[int, int]]:
    """Intervals [t, t'] with t' the step nearest to 2t, and within ``NEAR`` of it, by t (t >= 1).

    Exactly [t, 2t] where 2t is among ``steps``.
    """
    after = [step for step in steps if step > 0]
    nearest = {t: min(after, key=lambda step: (abs(step - 2 * t), step)) for t in after}
    low, high = NEAR
    return [(t, end) for t, end in sorted(nearest.items()) if low * t <= end <= high * t]


@dataclass(frozen=True)
class Layout:
    """How the checkpoints of a run are spread over segments and measurement files."""

    checkpoints: tuple[int, ...]
    """Steps with a checkpoint, ascending."""
    measured: tuple[int, ...]
    """Those on which everything is measured; on the others, token losses only."""
    grids: dict[str, tuple[int, ...]]
    """Steps of the grids of Fig. 15, by name."""
    segments: tuple[Segment, ...]
    """The chain of segments."""
    blocks: dict[str, tuple[int, ...]]
    """Checkpoints that each file of token losses covers, by the file's name, ascending: those of
    a segment, which take less time together than jobs of their own would to start."""
    measured_blocks: dict[str, tuple[int, ...]]
    """Checkpoints that each file of the other measurements covers, by the file's name."""
    intervals: tuple[tuple[int, int], ...]
    """The intervals over which losses change, by their starts."""

    @staticmethod
    def of(steps: int, kept: Checkpoints, block: str) -> Layout:
        """The layout of a run; ``block`` is ``checkpoint`` or ``segment``."""
        measured = measured_steps(steps, [*kept.also, *kept.extended_from])
        grids = step_grids(steps, kept.decades, kept.every)
        every = tuple(sorted({*measured, *(step for grid in grids.values() for step in grid)}))
        chain = tuple(segments(steps, kept.first_segment, kept.extended_from))
        blocks = {part.name: tuple(s for s in every if part.owns(s)) for part in chain}
        chosen: dict[str, tuple[int, ...]]
        if block == "checkpoint":
            chosen = {checkpoint_name(step): (step,) for step in measured}
        else:
            chosen = {part.name: tuple(s for s in measured if part.owns(s)) for part in chain}
        of_measured = {name: owned for name, owned in chosen.items() if owned}
        intervals = tuple(doubling_pairs(measured))
        return Layout(every, tuple(measured), grids, chain, blocks, of_measured, intervals)

    @staticmethod
    def of_others(steps: Sequence[int]) -> Layout:
        """The layout of checkpoints that were trained elsewhere: each, in ascending order, is a
        segment and a file of its own; step 0 is with the one after it."""
        ends = [step for step in steps if step > 0]
        chain = tuple(Segment(start, end) for start, end in pairwise([0, *ends]))
        blocks = {part.name: tuple(s for s in steps if part.owns(s)) for part in chain}
        every, intervals = tuple(steps), tuple(near_doublings(steps))
        return Layout(every, every, {}, chain, blocks, blocks, intervals)

    def owned(self, segment: Segment) -> list[int]:
        """Checkpoints that a segment writes."""
        return [step for step in self.checkpoints if segment.owns(step)]

    def previous(self, segment: Segment) -> Segment | None:
        """The segment that a segment starts from."""
        return next((part for part in self.segments if part.end == segment.start), None)

    def following(self, step: int) -> int | None:
        """The measured checkpoint after one, None after the last."""
        return next((later for later in self.measured if later > step), None)

    def segment_of(self, step: int) -> Segment:
        """The segment that writes a checkpoint."""
        return next(part for part in self.segments if part.owns(step))

    def segment_of_block(self, block: str) -> Segment:
        """The segment that writes the checkpoints of a measurement file."""
        steps = self.measured_blocks.get(block) or self.blocks[block]
        return self.segment_of(steps[0])

    def pairs(self, block: str) -> list[tuple[int, int]]:
        """Intervals [t, 2t] that end in the segment of that name; of a grid of Fig. 15, those
        between its neighbours."""
        if block in self.grids:
            return list(pairwise(self.grids[block]))
        segment = Segment.parse(block)
        return [pair for pair in self.intervals if segment.owns(pair[1])]

    def loss_blocks(self, block: str) -> dict[int, str]:
        """The file of token losses of each step that the block's intervals start from or end at."""
        steps = {step for pair in self.pairs(block) for step in pair}
        return {step: self.segment_of(step).name for step in sorted(steps)}

    def delta_blocks(self) -> list[str]:
        """Names of the files of changes of loss: of the segments in which an interval ends."""
        return [part.name for part in self.segments if self.pairs(part.name)]
