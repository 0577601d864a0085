"""Measuring one checkpoint after another into one HDF5 file.

Each measurement is a class of :mod:`zsl.config.measurements` and a module of this package with a
function ``measure`` that writes the datasets of one checkpoint to an HDF5 group. Here is what they
have in common.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from zsl.config.grids import checkpoint_name
from zsl.config.measurements import Measurement
from zsl.errors import MeasurementError
from zsl.measurements.hdf5 import writing
from zsl.measurements.token_ids import check_ids
from zsl.memory import MicroBatch
from zsl.models.base import LanguageModel

Measure = Callable[[Path, int, h5py.Group], None]
"""Measures the checkpoint in a folder, so many sequences at once, and writes datasets to a group.

It can be called again after it ran out of memory."""


def evaluation_tokens(input_ids: np.ndarray, model: LanguageModel, device: torch.device) -> Tensor:
    """``input_ids`` (sequences, positions) on ``device``.

    Raises as :func:`check_ids`.
    """
    check_ids(input_ids, model.context, model.rows)
    return torch.from_numpy(np.array(input_ids, dtype=np.int64, order="C")).to(device)


@dataclass(frozen=True)
class Prepared:
    """A measurement that only lacks checkpoints, made by the module that its settings name."""

    measure: Measure
    model: LanguageModel
    read: tuple[int, int]
    """Sequences that could be read at once, and their positions."""
    attributes: dict[str, int] = field(default_factory=dict)
    """What the file's root says besides."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the lineage record says besides."""


def function_of(settings: Measurement, model: LanguageModel) -> Callable[..., None]:
    """The function of a measurement's module.

    Raises MeasurementError where ``model`` cannot do what the measurement asks for.
    """
    for capability in settings.capabilities:
        getattr(model, capability)()
    measure: Callable[..., None] = import_module(f"zsl.measurements.{settings.name}").measure
    return measure


def of_weights(measure: Callable[..., None], model: LanguageModel, *arguments: Any) -> Measure:
    """Load a checkpoint's weights into ``model``, then measure it:
    ``measure(model, *arguments, micro_batch_size, group)``."""

    def measure_checkpoint(folder: Path, micro_batch_size: int, group: h5py.Group) -> None:
        model.load(folder)
        measure(model, *arguments, micro_batch_size, group)

    return measure_checkpoint


def measure_checkpoints(
    measurement: str,
    measure: Measure,
    checkpoints: dict[int, Path],
    out: Path,
    micro_batch: MicroBatch,
    *,
    run: str,
    report: Callable[[int], None] = lambda done: None,
    **attributes: int,
) -> None:
    """Write a measurement of ``checkpoints`` (folder by step) to the HDF5 file ``out``.

    ``micro_batch`` sequences are read at once, or as many as memory holds.
    ``attributes`` are written to the file's root, beside the names of run and measurement. The
    file is written whole or not at all. Raises MeasurementError when a checkpoint cannot be
    measured, naming it, and OutOfMemory.
    """
    with writing(out, run=run, measurement=measurement, **attributes) as file:
        for done, (step, folder) in enumerate(sorted(checkpoints.items()), start=1):
            try:
                micro_batch.fit(partial(_measure, measure, folder, step, file))
            except MeasurementError as error:
                raise MeasurementError(f"{folder}: {error}") from None
            report(done)


def _measure(
    measure: Measure, folder: Path, step: int, file: h5py.File, micro_batch_size: int
) -> None:
    """Measure a checkpoint into its own group, from which an earlier attempt is removed."""
    name = checkpoint_name(step)
    if name in file:
        del file[name]
    group = file.create_group(name)
    group.attrs["step"] = step
    measure(folder, micro_batch_size, group)
