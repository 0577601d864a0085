"""Ours against a peer: in turn, in one process, with the same threads and the same inputs.

A script times its functions with :func:`alternate`, checks with :func:`check` that they give
the same numbers, and returns :class:`Result`; :func:`main` runs it as a program.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from zsl.files import write_json
from zsl.job import THREAD_VARIABLES
from zsl.lineage import machine
from zsl.training.device import device as compute_device

ROUNDS = 5


@dataclass(frozen=True)
class Result:
    """What one comparison came to."""

    name: str
    peer: str
    """What the peer does."""
    ours: str
    """What is measured against it."""
    unit: str
    """What ``ratio`` is, read after the number: ``x the peer's speed``."""
    ratio: float
    """Median over the rounds."""
    q1: float
    q3: float
    target: str
    """``>= 200`` or ``<= 0.25``, in the same unit."""
    agreement: str
    """What was compared before the clock was started, and how far apart it is."""
    note: str
    device: str

    @property
    def met(self) -> bool:
        sign, bound = self.target.split()
        return {">=": self.ratio >= float(bound), "<=": self.ratio <= float(bound)}[sign]

    def __str__(self) -> str:
        verdict = "met" if self.met else "MISSED"
        return (
            f"{self.name}: {self.ratio:.3g} {self.unit} (quartiles {self.q1:.3g} to {self.q3:.3g}; "
            f"target {self.target}: {verdict}); {self.agreement}; {self.note} [{self.device}]"
        )


class Disagreement(Exception):
    """Ours and the peer do not give the same numbers, so that their speeds mean nothing."""


def check(what: str, difference: float, bound: float) -> str:
    """``what`` with its ``difference``, in words. Raises Disagreement above ``bound``."""
    if not difference <= bound:  # NaN, too
        raise Disagreement(f"{what}: {difference:.3g}, expected at most {bound:g}")
    return f"{what} {difference:.1e}"


def alternate(functions: Sequence[Callable[[], object]], rounds: int = ROUNDS) -> np.ndarray:
    """Seconds of each function, (rounds, functions), called in turn after a call to warm up."""
    seconds = np.zeros((rounds, len(functions)))
    for function in functions:
        function()
    for row in seconds:
        for column, function in enumerate(functions):
            started = _now()
            result = function()
            row[column] = _now() - started
            del result  # freed while no clock runs, and before the next one starts
    return seconds


def _now() -> float:
    """Seconds on a clock that is read when a GPU has finished what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def spread(values: np.ndarray) -> dict[str, float]:
    """Median and quartiles of ``values`` (rounds,), as fields of a Result."""
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return {"ratio": median, "q1": q1, "q3": q3}


def absolute(device: torch.device, **seconds: np.ndarray) -> str:
    """Median seconds by name on a GPU; nothing on a CPU, whose times say little elsewhere."""
    if device.type != "cuda":
        return ""
    return ", ".join(f"{name} {np.median(values):.3g} s" for name, values in seconds.items())


def describe(device: torch.device) -> str:
    """The device's name and, for a CPU, the threads used of it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpu = machine.device().get("cpu", "unknown CPU")
    return f"{cpu}, threads: {torch.get_num_threads()}"


def main(measure: Callable[[torch.device], list[Result]]) -> None:
    """Run ``measure`` on the GPU if there is one; print its results, write them to ``--json``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2, help="threads of both sides (default 2)")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    options = parser.parse_args()
    wanted = dict.fromkeys((*THREAD_VARIABLES, "RAYON_NUM_THREADS"), str(options.threads))
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        # Libraries read these when they are imported, which they have been.
        # Cores are as many, for Python's own threads.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **wanted})
    results = measure(compute_device(options.threads))
    for result in results:
        print(result)
    if options.json:
        write_json(options.json, [{**asdict(result), "met": result.met} for result in results])
