"""``delta_loss``: how the loss of every evaluation token changes from step t to 2t.

Later minus earlier, so improvement is negative (Eqs. 3, 5, 6; Figs 3, 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from zsl.config.grids import checkpoint_name
from zsl.errors import MeasurementError
from zsl.measurements.bootstrap import intervals
from zsl.measurements.hdf5 import array, reading, write_dataset, writing
from zsl.measurements.interference import interference

DESCRIPTION = "token loss at step_next minus token loss at step; improvement is negative"

ENDS = "end of a 95 % interval over evaluation sequences, from delta_loss"
UNITS = {"D": "1", "M": "nats"}


def read_token_losses(path: Path, step: int) -> np.ndarray:
    """Token losses at ``step``, (sequences, positions) float32 nats.

    Raises MeasurementError when the file does not hold that step.
    """
    with reading(path) as file:
        name = f"{checkpoint_name(step)}/token_losses"
        if name not in file:
            raise MeasurementError(f"{path}: holds no {name}; measure that checkpoint first")
        return array(file, name, 2)


def measure_delta_loss(
    pairs: Sequence[tuple[int, int]],
    sources: dict[int, Path],
    out: Path,
    *,
    run: str,
    resamples: int,
    seed: int,
) -> None:
    """Write the changes over ``pairs`` of steps to the HDF5 file ``out``.

    ``sources`` gives the token-loss file that holds each step; intervals are of ``resamples`` draws
    of the evaluation sequences.
    """
    with writing(out, run=run, measurement="delta_loss") as file:
        for step, step_next in sorted(pairs):
            earlier = read_token_losses(sources[step], step)
            later = read_token_losses(sources[step_next], step_next)
            if earlier.shape != later.shape:
                raise MeasurementError(
                    f"{sources[step_next]}: losses of {later.shape} tokens at step {step_next}, of "
                    f"{earlier.shape} at step {step}; measure both again"
                )
            # Differences of float32 losses are exact in float64; the file keeps float32.
            delta = np.subtract(later, earlier, dtype=np.float64)
            write_delta_loss(file, step, step_next, delta, resamples=resamples, seed=seed)


def write_delta_loss(
    file: h5py.File, step: int, step_next: int, delta: np.ndarray, *, resamples: int, seed: int
) -> None:
    """Write one interval's changes, ``delta`` (sequences, positions) float64, with D and M and
    their 95 % intervals."""
    measured, kept = interference(delta), delta.astype(np.float32)
    ends = intervals(kept, resamples=resamples, seed=seed)
    group = file.create_group(checkpoint_name(step))
    group.attrs["step"] = step
    group.attrs["step_next"] = step_next
    write_dataset(
        group,
        "delta_loss",
        kept,
        units="nats",
        axes=("sequences", "positions"),
        description=DESCRIPTION,
    )
    for name, value, units, description in (
        ("D", measured.D, "1", "destructive interference (Eq. 3), from float64 differences"),
        ("M", measured.M, "nats", "mean absolute change (Eq. 5), from float64 differences"),
        ("mean", measured.mean, "nats", "mean change, from float64 differences"),
        *((name, end, UNITS[name[0]], ENDS) for name, end in ends.items()),
    ):
        write_dataset(group, name, np.array(value), units=units, axes=(), description=description)
