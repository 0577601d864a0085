"""Steps: which checkpoints a run keeps, and how it is cut into segments and blocks.

A segment is named by its steps: ``00001024-00002048`` starts from checkpoint 1024 and owns
the steps 1024 < s <= 2048; the first one, ``00000000-...``, owns step 0, too. Nothing here
depends on the total number of steps except where a run ends, so that a longer run shares all
full segments of a shorter one.
"""

from __future__ import annotations

from dataclasses import dataclass


def powers_of_two(last: int) -> list[int]:
    """1, 2, 4, ... up to and including ``last`` where it is a power of two."""
    return [1 << i for i in range(last.bit_length())]


def checkpoint_steps(steps: int, also: list[int]) -> list[int]:
    """Steps at which a run of ``steps`` steps keeps a checkpoint, ascending.

    0, every 2^i (Section A.1), the last step, and those asked for in ``also``.
    """
    return sorted({0, *powers_of_two(steps), steps, *also})


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


def segments(steps: int, first: int) -> list[Segment]:
    """The chain of segments of a run: 0, ``first``, 2·``first``, ... and the last step."""
    ends = [first << i for i in range(steps.bit_length()) if (first << i) < steps] + [steps]
    return [Segment(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def checkpoint_name(step: int) -> str:
    """Name of a checkpoint's folder and HDF5 group, such as ``step00004096``."""
    return f"step{step:08d}"


def doubling_pairs(steps: list[int]) -> list[tuple[int, int]]:
    """The intervals [t, 2t] of Fig. 3 whose both ends are in ``steps``, by t (t >= 1)."""
    kept = set(steps)
    return [(t, 2 * t) for t in sorted(kept) if t > 0 and 2 * t in kept]
