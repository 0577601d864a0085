"""What figures say of the faults of checkpoints that others trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def sentences(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence on the ``faults`` of runs (``checkpoints/<run>.faults.json``), if any."""
    said = [
        f"{run['run'].split('-', 1)[1]}, {fault['kind']} at {_steps(fault['steps'])}"
        for run in runs
        for fault in run["faults"]
    ]
    return [f"Known faults of the checkpoints: {'; '.join(said)}."] if said else []


def _steps(steps: list[int]) -> str:
    listed = ", ".join(f"{step:,}" for step in steps)
    return f"step{'s' * (len(steps) > 1)} {listed}"
