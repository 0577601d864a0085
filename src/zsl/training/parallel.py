"""The processes of one training job: one, or those that torchrun started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Processes:
    """This process among those that train a run together."""

    rank: int
    world_size: int
    device: torch.device

    def share(self, indices: np.ndarray, batch_size: int) -> np.ndarray:
        """This process' part of a batch's indices: equal, contiguous parts in rank order."""
        part = batch_size // self.world_size
        return indices[self.rank * part : (self.rank + 1) * part]

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """``value`` summed over all processes, in place."""
        if self.world_size > 1:
            dist.all_reduce(value)
        return value

    def any(self, *here: bool) -> tuple[bool, ...]:
        """Whether each of ``here`` is true in any process."""
        if self.world_size == 1:
            return here
        return tuple(map(bool, self.sum(torch.tensor(here, dtype=torch.int32, device=self.device))))

    def least(self, number: int) -> int:
        """The smallest ``number`` of any process."""
        if self.world_size == 1:
            return number
        value = torch.tensor(number, device=self.device)
        dist.all_reduce(value, dist.ReduceOp.MIN)
        return int(value)

    def from_first(self, text: str) -> str:
        """``text`` of the first process."""
        if self.world_size == 1:
            return text
        values = [text]
        dist.broadcast_object_list(values, src=0, device=self.device)
        return values[0]

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.world_size > 1:
            dist.barrier()


_JOINED: list[dist.ProcessGroup | None] = []
"""Groups that this process joined. Whoever lets go of the last reference to one waits, with
Python's lock held, for gloo's thread, which may need that lock to let go of the tensor of the last
barrier (torch 2.13): DistributedDataParallel did so where it was freed just after a barrier."""


@contextmanager
def processes() -> Iterator[Processes]:
    """Join the process group that torchrun's environment describes, if there is one."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    if world_size > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        _JOINED.append(dist.group.WORLD)
    try:
        yield Processes(rank, world_size, device)
    finally:
        if world_size > 1:
            dist.destroy_process_group()
