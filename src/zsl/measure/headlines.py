"""The numbers of a measurement that one wants to see at once."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from zsl.measurements.hdf5 import array, checkpoints, reading, tasks

HEADLINES = {
    "delta_loss": ("D", "M", "mean"),
    "gradient_opposition": ("D_proxy", "D_proxy_with_embeddings"),
    "token_gradients": ("C_g", "C_g_floor", "C_uG", "C_ug", "D_first_order", "D_grad", "D_proxy"),
    "single_step": ("D_eval", "M_eval", "mean_eval", "cos_eval", "update_norm"),
    "cross_section": ("D", "D_first_order", "r_jvp", "sharpness", "update_norm"),
}
"""Datasets by measurement; of those along batches, the mean is shown."""


def headlines(path: Path, measurement: str) -> str:
    """Some lines of text on the one checkpoint in a measurement's file."""
    with reading(path) as file:
        (group,) = checkpoints(file)
        if measurement == "downstream":
            return _of_tasks(group)
        if measurement == "token_losses":
            losses = array(group, "token_losses", 2)
            return f"mean loss {losses.mean(dtype=np.float64):.6g} nats, {losses.size:,} tokens"
        known = [name for name in HEADLINES[measurement] if name in group]
        line = ", ".join(_of(group[name], name) for name in known)
        if measurement != "delta_loss":
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
