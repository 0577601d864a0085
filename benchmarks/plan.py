"""How long Snakemake plans the paper's experiment before the first job could start.

There is no peer: the target is in seconds of a person who waits.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from harness import ROUNDS, Disagreement, Result, describe, main, spread

ROOT = Path(__file__).parents[1]
COMMAND = ["snakemake", "-n", "all", "--configfile", "config/paper.yaml", "--quiet", "rules"]
MOST_JOBS = 2000


def plan(command: list[str]) -> tuple[int, float]:
    """Jobs that a dry run plans, and the seconds it took. Raises Disagreement if it fails."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise Disagreement(f"{' '.join(command)} failed:\n{done.stdout}")
    total = re.search(r"(?m)^total\s+(\d+)$", done.stdout)
    return int(total[1]) if total else 0, seconds


def measure(command: list[str] = COMMAND, rounds: int = ROUNDS) -> Result:
    jobs, _ = plan(command)
    if not 0 < jobs <= MOST_JOBS:
        raise Disagreement(f"{jobs} jobs planned, expected 1 to {MOST_JOBS}")
    seconds = np.array([plan(command)[1] for _ in range(rounds)])
    return Result(
        name="plan",
        peer="none",
        ours=" ".join(command[:5]),
        unit="seconds",
        **spread(seconds),
        target="<= 8",
        agreement="the dry run succeeds",
        note=f"{jobs} jobs",
        device=describe(torch.device("cpu")),
    )


if __name__ == "__main__":
    main(lambda _: [measure()])
