"""GPUs, and how long they take for a number of FLOPs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zsl.config.flops import Flops


@dataclass(frozen=True)
class Gpu:
    """Peak rates of dense matrix products, in 10^12 FLOP/s."""

    bfloat16: float
    """By tensor cores, without sparsity."""
    float32: float
    """Without TF32, which measurements do not use."""


GPUS: Mapping[str, Gpu] = {
    "A100": Gpu(bfloat16=312, float32=19.5),
    "H100": Gpu(bfloat16=989.4, float32=66.9),
    "H200": Gpu(bfloat16=989.4, float32=66.9),
    "L40": Gpu(bfloat16=181.05, float32=90.5),
    "L40S": Gpu(bfloat16=362.05, float32=91.6),
    "cores": Gpu(bfloat16=0.384, float32=0.384),
}
"""NVIDIA's data sheets and architecture papers: A100 (SXM, 2021), H100 and H200 (SXM, 2023 and
2024), L40 (2022) and L40S (2023), half of the rates that these give with sparsity. ``cores``: four
cores of a laptop, each 32 FLOPs a cycle (AVX2) at 3 GHz."""


def gpu_hours(flops: Flops, gpu: Gpu, utilisation: float) -> float:
    """Hours of one GPU at ``utilisation`` of its peak rates."""
    seconds = flops.bfloat16 / gpu.bfloat16 + flops.float32 / gpu.float32
    return seconds / (1e12 * utilisation * 3600)
