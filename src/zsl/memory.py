"""As many sequences at once as the memory of the GPU holds."""

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

log = logging.getLogger(__name__)

T = TypeVar("T")


class OutOfMemory(ZslError):
    """The GPU's memory does not hold a single sequence."""


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
        """``work(size)``, repeated with half the size whenever the GPU's memory does not hold it.

        ``work`` must be free to begin anew. Raises OutOfMemory where one sequence does not fit.
        """
        while True:
            try:
                return work(self.size)
            except torch.OutOfMemoryError as error:
                reason = str(error).split(". ")[0]
            # Only here, behind the handler, are the tensors of the failed attempt let go.
            self.halve(reason)

    def halve(self, reason: str) -> None:
        """Go on with half the sequences at once."""
        if self.size == 1:
            raise OutOfMemory(
                f"the GPU's memory does not hold one sequence ({reason}); use a GPU with more "
                "memory, more processes, or a smaller model"
            )
        self.size //= 2
        log.warning("out of memory: going on with %d sequences at once (%s)", self.size, reason)
        if self.path is not None:
            write_json(self.path, {"micro_batch_size": self.size})
        gc.collect()
        torch.cuda.empty_cache()
        if "torch._dynamo" in sys.modules:
            torch.compiler.reset()  # else a second size is compiled for any size, and slower
