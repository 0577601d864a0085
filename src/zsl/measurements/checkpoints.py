"""Measuring one checkpoint after another into one HDF5 file.

A measurement of single checkpoints is a module of this package with a function
``measure(model, input_ids, micro_batch_size, group)``: it measures ``model`` on ``input_ids``
(sequences, positions), a tensor on the model's device, and writes datasets to the HDF5
``group``. ``token_losses`` and ``gradient_opposition`` are such modules.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
from olmo.model import OLMo
from torch import Tensor

from zsl.config.grids import checkpoint_name
from zsl.errors import MeasurementError
from zsl.measurements.hdf5 import writing
from zsl.training.checkpoint import load_weights

Measure = Callable[[OLMo, Tensor, int, h5py.Group], None]


def measure_checkpoints(
    measurement: str,
    measure: Measure,
    model: OLMo,
    checkpoints: dict[int, Path],
    input_ids: np.ndarray,
    out: Path,
    *,
    run: str,
    micro_batch_size: int,
    device: torch.device,
    report: Callable[[int], None] = lambda done: None,
) -> None:
    """Write a measurement of ``checkpoints`` (folder by step) to the HDF5 file ``out``.

    The file is written whole or not at all. Raises MeasurementError when the sequences are
    longer than the model's context, or when a checkpoint cannot be measured, naming it.
    """
    context = model.config.max_sequence_length
    if input_ids.shape[1] > context:
        raise MeasurementError(
            f"evaluation sequences have {input_ids.shape[1]} tokens, the model's context is "
            f"{context}; evaluate shorter sequences"
        )
    model = model.to(device).eval()
    tokens = torch.from_numpy(input_ids).to(device)
    with writing(out, run=run, measurement=measurement) as file:
        for done, (step, folder) in enumerate(sorted(checkpoints.items()), start=1):
            load_weights(folder, model)
            group = file.create_group(checkpoint_name(step))
            group.attrs["step"] = step
            try:
                measure(model, tokens, micro_batch_size, group)
            except MeasurementError as error:
                raise MeasurementError(f"{folder}: {error}") from None
            report(done)
