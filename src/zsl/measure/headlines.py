"""The numbers of a measurement that one wants to see at once."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from zsl.config.measurements import Measurement
from zsl.measurements.hdf5 import array, checkpoints, reading, tasks


def headlines(path: Path, settings: Measurement) -> str:
    """Some lines of text on the one checkpoint in a measurement's file."""
    with reading(path) as file:
        (group,) = checkpoints(file)
        if settings.reads == "choices":
            return _of_tasks(group)
        if not settings.shown:
            losses = array(group, settings.name, 2)
            return f"mean loss {losses.mean(dtype=np.float64):.6g} nats, {losses.size:,} tokens"
        known = [name for name in settings.shown if name in group]
        line = ", ".join(_of(group[name], name) for name in known)
        if settings.reads != "losses":
            return line
        deltas = group["delta_loss"]
        line += f", {deltas.size:,} tokens"
        if not np.isnan(group["D"][()]):
            return line
        return f"{line}\nno loss changed: the checkpoints have the same weights, and no D"


def _of(dataset: h5py.Dataset, name: str) -> str:
    units = dataset.attrs["units"]
    several = f" (mean of {dataset.size} batches)" if dataset.ndim else ""
    return f"{name} {np.mean(dataset[()]):.6g}{'' if units == '1' else f' {units}'}{several}"


def _of_tasks(group: h5py.Group) -> str:
    lines = [f"{'task':12}{'metric':10}{'accuracy':>9}{'se':>8}{'chance':>8}{'items':>8}"]
    for name, task in tasks(group):
        accuracy, se, chance = (task[key][()] for key in ("accuracy", "accuracy_se", "chance"))
        numbers = f"{accuracy:9.4f}{se:8.4f}{chance:8.4f}{task['label'].size:8,}"
        lines.append(f"{name:12}{task.attrs['metric']:10}{numbers}")
    return "\n".join(lines)
