"""LSMA over a run of the paper's length, against a loop over the moving window (A.2)."""

from __future__ import annotations

import numpy as np
import torch
from harness import ROUNDS, Result, alternate, check, describe, main, spread

from zsl.curves.smoothing import lsma

K = 1.2


def loop(losses: np.ndarray) -> np.ndarray:
    """LSMA_k as its formula is printed: at each step the mean over its window, (steps,)."""
    smoothed = np.empty(len(losses))
    for t in range(1, len(losses) + 1):
        smoothed[t - 1] = losses[max(1, int(t / K)) - 1 : t].mean()
    return smoothed


def measure(n_steps: int = 262_144, rounds: int = ROUNDS) -> Result:
    steps = np.arange(1, n_steps + 1)
    noise = np.random.default_rng(0).normal(0, 0.05, n_steps)
    losses = 11 * steps**-0.1 + noise
    ours, peer = lsma(steps, losses, K), loop(losses)
    agreement = check("largest relative difference", float(np.abs(ours / peer - 1).max()), 1e-12)
    seconds = alternate([lambda: loop(losses), lambda: lsma(steps, losses, K)], rounds)
    return Result(
        name="lsma",
        peer="mean over the window of each step, one step after another",
        ours="zsl.curves.smoothing.lsma",
        unit="x the peer's speed",
        **spread(seconds[:, 0] / seconds[:, 1]),
        target=">= 200",
        agreement=agreement,
        note=f"{n_steps} steps",
        device=describe(torch.device("cpu")),
    )


if __name__ == "__main__":
    main(lambda _: [measure()])
