"""``zsl measure``: one measurement of one checkpoint, without a workflow.

The checkpoint is a folder with ``config.yaml`` and ``model.safetensors``, as this project and
OLMo write them. Tokens are NumPy files of integers: ``--tokens`` (sequences, positions) to
measure on, and, for what looks at the next optimizer step, ``--batches`` (batches, sequences,
positions) to train on, with ``--run``, the run of a configuration whose optimizer makes it.
Without an optimizer, ``--next`` names the checkpoint that follows: its difference is the
update.
"""

from __future__ import annotations

import argparse
import logging
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
from olmo.model import OLMo
from torch import Tensor

from zsl.config.base import STEPS
from zsl.config.load import load
from zsl.config.measurements import Measurements
from zsl.config.schema import Run
from zsl.errors import MeasurementError
from zsl.files import read_json
from zsl.measurements import (
    cross_section,
    gradient_opposition,
    single_step,
    token_gradients,
    token_losses,
)
from zsl.measurements.checkpoints import (
    Measure,
    evaluation_tokens,
    measure_checkpoints,
    of_weights,
)
from zsl.measurements.next_step import NextStep, along_update, copy_of, difference
from zsl.memory import MicroBatch
from zsl.training.checkpoint import load_model, load_weights
from zsl.training.device import device

OF_WEIGHTS: dict[str, Callable[..., None]] = {
    "token_losses": token_losses.measure,
    "gradient_opposition": gradient_opposition.measure,
}
ALONG_UPDATE: dict[str, Callable[..., None]] = {
    "token_gradients": token_gradients.measure,
    "cross_section": cross_section.measure,
}


def measure(options: argparse.Namespace) -> str:
    """Do what ``zsl measure`` was asked; returns one line to print.

    Raises MeasurementError before any work when an argument does not fit.
    """
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    checkpoint, name = options.checkpoint, options.measurement
    if options.out.exists():
        raise MeasurementError(f"{options.out}: exists already; name another file or delete it")
    target = device(options.threads)
    plan = load(options.configfile) if options.configfile else None
    settings = plan.experiment.measurements if plan else Measurements()
    run = _run(options, plan.runs if plan else {})
    model = load_model(checkpoint).to(target).eval()
    input_ids = evaluation_tokens(_read(options.tokens), model, target)
    asked = getattr(getattr(settings, name, None), "sequences", None)
    input_ids = input_ids[:asked]
    each = _measure(options, settings, model, input_ids, run)
    steps = {_step(checkpoint): checkpoint}
    micro_batch = MicroBatch(settings.micro_batch_size or len(input_ids))
    run_name = options.run or checkpoint.name
    measure_checkpoints(name, each, steps, options.out, micro_batch, run=run_name)
    return f"{options.out}: {name} of {checkpoint} on {len(input_ids)} sequences"


def _measure(
    options: argparse.Namespace,
    settings: Measurements,
    model: OLMo,
    input_ids: Tensor,
    run: Run | None,
) -> Measure:
    name = options.measurement
    if name in OF_WEIGHTS:
        return of_weights(OF_WEIGHTS[name], model, input_ids)
    if name in ALONG_UPDATE:
        chosen = getattr(settings, name)
        if options.next is not None:
            return _towards(options.next, name, model, input_ids, chosen)
        step = NextStep(_needed(run, name), model, input_ids.device)
        batch = _batches(options, model, input_ids.device)[0]
        return along_update(ALONG_UPDATE[name], step, batch, input_ids, chosen)
    batches = _batches(options, model, input_ids.device)
    chosen = settings.single_step.model_dump()
    return single_step.of_run(_needed(run, name), model, batches, input_ids, chosen)


def _towards(
    following: Path, name: str, model: OLMo, input_ids: Tensor, settings: object
) -> Measure:
    """Measure along the difference to the checkpoint in ``following``."""

    def each(folder: Path, micro_batch_size: int, group: h5py.Group) -> None:
        load_weights(following, model)
        after = copy_of(model)
        load_weights(folder, model)
        update = difference(copy_of(model), after)
        ALONG_UPDATE[name](model, input_ids, update, settings, micro_batch_size, group)

    return each


def _run(options: argparse.Namespace, runs: dict[str, Run]) -> Run | None:
    if options.run is None:
        return None
    if options.run not in runs:
        known = ", ".join(runs) or "none: give --configfile"
        raise MeasurementError(f"--run {options.run}: no such run; there are {known}")
    return runs[options.run]


def _needed(run: Run | None, measurement: str) -> Run:
    if run is None:
        raise MeasurementError(
            f"{measurement} makes the next optimizer step: name the checkpoint's run with --run "
            "and --configfile, and give --batches"
            + (", or give --next" if measurement in ALONG_UPDATE else "")
        )
    return run


def _batches(options: argparse.Namespace, model: OLMo, device: torch.device) -> Tensor:
    """Training batches, (batches, sequences, positions)."""
    if options.batches is None:
        raise MeasurementError("give --batches, a NumPy file (batches, sequences, positions)")
    batches = _read(options.batches)
    if batches.ndim != 3:
        raise MeasurementError(
            f"{options.batches}: has the shape {batches.shape}; (batches, sequences, positions) "
            "is needed"
        )
    flat = evaluation_tokens(batches.reshape(-1, batches.shape[-1]), model, device)
    return flat.view(batches.shape)


def _read(path: Path) -> np.ndarray:
    try:
        # Mapped, lest as much memory is taken as a header declares.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy's reader of headers parses Python, and raises what that does
        raise MeasurementError(f"{path}: not a NumPy file of token ids: {error}") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu":
        raise MeasurementError(f"{path}: holds no array of integers; token ids are needed")
    return np.asarray(array)


def _step(checkpoint: Path) -> int:
    """The step of a checkpoint, from its state or its name; 0 if neither says."""
    state = checkpoint / "state.json"
    if state.exists():
        found = read_json(state)
        step = found.get("step") if isinstance(found, dict) else None
        if type(step) is not int or not 0 <= step <= STEPS:
            raise MeasurementError(f"{state}: names no step; restore it or leave it out")
        return step
    digits = re.match(r"step(\d{1,8})(?!\d)", checkpoint.name)
    return int(digits[1]) if digits else 0
