"""How much of the GPUs' peak rate a training step reaches."""

from __future__ import annotations

import torch

from zsl.config.flops import training_step
from zsl.config.schema import Run
from zsl.gpus import GPUS, Gpu
from zsl.training.parallel import Processes


def known_gpu(device: torch.device) -> tuple[str, Gpu] | None:
    """Name and rates of a GPU, where :data:`zsl.gpus.GPUS` has them."""
    if device.type != "cuda":
        return None
    words = torch.cuda.get_device_name(device).replace("-", " ").split()
    return next(((name, GPUS[name]) for name in words if name in GPUS), None)


def peak_tokens_per_second(run: Run, rows: int, group: Processes) -> float | None:
    """Tokens per second of the whole job at the peak rate of its GPUs; None where unknown.

    ``rows`` is the number of rows of the embedding. Divide by it for the model FLOP utilisation
    (Chowdhery et al., 2022): operations that the model needs, by the way the step is defined, not
    those that a recomputation adds.
    """
    found = known_gpu(group.device)
    if found is None:
        return None
    flops, gpu = training_step(run, rows), found[1]
    seconds = (flops.bfloat16 / gpu.bfloat16 + flops.float32 / gpu.float32) / 1e12
    return group.world_size * run.batch_size * run.sequence_length / seconds
