"""Peak memory of one side of a comparison."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from zsl.training.device import device

PROCESS = Path("/proc/self")


def peak_memory(prepare: Callable[..., Callable[[], object]], *arguments: Any) -> int:
    """Most bytes resident at once while ``prepare(*arguments)()`` runs, above what is resident
    once ``prepare`` has returned. Runs in a new process, so ``prepare`` is a module's function.

    Linux only.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_peak_memory, torch.get_num_threads(), prepare, arguments).result()


def _peak_memory(threads: int, prepare: Callable[..., Callable[[], object]], arguments: Any) -> int:
    work = prepare(*arguments)
    # What preparing has freed would be used again unseen.
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    device(threads)
    (PROCESS / "clear_refs").write_text("5")  # the high-water mark becomes what is resident now
    before = _bytes("VmRSS")
    work()
    return _bytes("VmHWM") - before


def _bytes(field: str) -> int:
    found = re.search(rf"{field}:\s*(\d+) kB", (PROCESS / "status").read_text())
    assert found
    return int(found[1]) * 1024
