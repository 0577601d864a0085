"""Join one group of processes after another, at the ports given, and leave each after a barrier."""

import os
import sys

import torch
from torch.nn.parallel import DistributedDataParallel

from zsl.training.parallel import processes


def train_and_wait() -> None:
    """What the last step of a training does."""
    with processes() as group:
        module = DistributedDataParallel(torch.nn.Linear(3, 3))
        module(torch.ones(2, 3)).sum().backward()
        group.barrier()


torch.set_num_threads(1)
for port in sys.argv[1:]:
    os.environ["MASTER_PORT"] = port
    train_and_wait()
