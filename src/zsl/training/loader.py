"""The batches of a run, read ahead while a GPU computes."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch

from zsl.config.schema import Run
from zsl.training.order import Order, batch_indices
from zsl.training.parallel import Processes

AHEAD = 4
"""Batches read ahead, one thread each: a network file system answers many reads at once."""


class Tokens(Protocol):
    """Fixed-length sequences of tokens."""

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """Sequences of ``indices``, (sequences, positions) int64."""


class Loader:
    """This process' share of each step's batch, on its device."""

    def __init__(
        self, run: Run, tokens: Tokens, order: Order, group: Processes, *, ahead: bool
    ) -> None:
        self._run, self._tokens, self._order, self._group = run, tokens, order, group
        self._reading: dict[int, Future[torch.Tensor]] = {}
        self._pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="loader") if ahead else None

    def batch(self, step: int) -> torch.Tensor:
        """What the update that makes ``step`` reads here, (sequences, positions) int64."""
        if self._pool is None:
            return self._read(step)
        wanted = range(step, min(step + AHEAD, self._run.steps) + 1)
        known = self._reading
        self._reading = {s: known.get(s) or self._pool.submit(self._read, s) for s in wanted}
        return self._reading.pop(step).result().to(self._group.device, non_blocking=True)

    def _read(self, step: int) -> torch.Tensor:
        size = self._run.batch_size
        mine = self._group.share(batch_indices(self._order, step, size), size)
        tokens = torch.from_numpy(self._tokens.batch(mine))
        return tokens.pin_memory() if self._group.device.type == "cuda" else tokens
