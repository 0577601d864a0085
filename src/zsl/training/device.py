"""The device a job computes on, and what makes it reproducible there."""

from __future__ import annotations

import torch


def device(threads: int) -> torch.device:
    """The GPU if there is one, else the CPU with ``threads`` threads."""
    torch.set_num_threads(threads)
    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = False
        return torch.device("cuda")
    return torch.device("cpu")
