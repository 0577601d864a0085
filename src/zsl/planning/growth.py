"""How much more the next attempt at a job asks for, by how the earlier ones ended."""

from __future__ import annotations

from dataclasses import dataclass, replace

MOST = 3
"""A job asks for at most this many times as much."""
MEMORY = {"OUT_OF_MEMORY", "FAILED"}
"""States after which more memory may help. Where SLURM does not see who takes too much, the
system ends a process, and the job has FAILED."""
TIME = {"TIMEOUT", "DEADLINE"}
"""States after which more time may help."""


@dataclass(frozen=True)
class Growth:
    """So many times what the table says."""

    memory: int = 1
    time: int = 1
    full: int = 1
    """As ``memory``, counting only attempts of which SLURM said that memory was the reason."""

    @property
    def is_spent(self) -> bool:
        """Whether the most was asked for, and did not do."""
        return max(self.full, self.time) > MOST


UNTRIED = Growth()


def after(growth: Growth, state: str) -> Growth:
    """The growth after one more attempt, which ended in a state of SLURM."""
    return replace(
        growth,
        memory=growth.memory + (state in MEMORY),
        time=growth.time + (state in TIME),
        full=growth.full + (state == "OUT_OF_MEMORY"),
    )
