"""As many sequences at once as memory holds.

A GPU's allocator says when it was too much. On a CPU the system ends the process instead, so that
a bound stands there: a constant, not the memory that is free at the moment, lest the last bits of
results depend on it.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from zsl.errors import ZslError
from zsl.files import read_json, write_json
from zsl.free_memory import free_bytes

log = logging.getLogger(__name__)

T = TypeVar("T")


class OutOfMemory(ZslError):
    """Memory does not hold what is to be done."""


CPU_BYTES = 1 << 30
"""What all sequences that are read at once may take on a CPU, where nobody says how many."""


def at_once(most: int, each: int, device: torch.device) -> int:
    """How many of ``most`` sequences of ``each`` bytes to begin with, where nobody says."""
    return most if device.type != "cpu" else max(1, min(most, CPU_BYTES // each))


def check_room(needed: int, what: str, instead: str) -> None:
    """Raises OutOfMemory where the system has less than ``needed`` bytes left.

    ``what`` needs them, in the plural; ``instead`` says what to do.
    """
    free = free_bytes()
    if free is not None and needed > free:
        raise OutOfMemory(
            f"{what} need about {needed / 2**30:.1f} GiB of memory, of which {free / 2**30:.1f} "
            f"GiB are free; {instead}"
        )


@dataclass
class MicroBatch:
    """Sequences per forward and backward pass: halved as often as they do not fit."""

    size: int
    """Sequences at once."""
    path: Path | None = None
    """Where a smaller size is kept for the next attempt."""

    @classmethod
    def kept(cls, path: Path, size: int) -> MicroBatch:
        """The size that an earlier attempt found to fit, else ``size``."""
        return cls(min(size, read_json(path)["micro_batch_size"]) if path.exists() else size, path)

    def fit(self, work: Callable[[int], T]) -> T:
        """``work(size)``, repeated with half the size whenever memory does not hold it.

        ``work`` must be free to begin anew. Raises OutOfMemory where one sequence does not fit.
        """
        while True:
            try:
                return work(self.size)
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                reason = str(error).split(". ")[0]
            # Only here, behind the handler, are the tensors of the failed attempt let go.
            self.halve(reason)

    def halve(self, reason: str) -> None:
        """Go on with half the sequences at once."""
        if self.size == 1:
            raise OutOfMemory(
                f"memory does not hold one sequence ({reason}); use a device with more memory, "
                "more processes, or a smaller model"
            )
        self.size //= 2
        log.warning("out of memory: going on with %d sequences at once (%s)", self.size, reason)
        if self.path is not None:
            write_json(self.path, {"micro_batch_size": self.size})
        gc.collect()
        torch.cuda.empty_cache()
        if "torch._dynamo" in sys.modules:
            torch.compiler.reset()  # else a second size is compiled for any size, and slower


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a GPU's allocator or the CPU's, which has no error of its own, gave up."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
