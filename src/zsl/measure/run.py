"""Doing what ``zsl measure`` was asked.

Without an optimizer, the checkpoint that follows says what the update is: their difference.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from zsl.config.schema import Run
from zsl.data.tasks import read_items, sample_items
from zsl.errors import MeasurementError
from zsl.measure.given import Given
from zsl.measure.headlines import headlines
from zsl.measurements import (
    cross_section,
    downstream,
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
from zsl.measurements.delta_loss import write_delta_loss
from zsl.measurements.hdf5 import writing
from zsl.measurements.next_step import NextStep, along_update, copy_of, difference
from zsl.measurements.room import micro_batch_of
from zsl.memory import MicroBatch
from zsl.models.base import LanguageModel
from zsl.models.families import family_of
from zsl.training.device import device

OF_WEIGHTS: dict[str, Callable[..., None]] = {
    "token_losses": token_losses.measure,
    "gradient_opposition": gradient_opposition.measure,
}
ALONG_UPDATE: dict[str, Callable[..., None]] = {
    "token_gradients": token_gradients.measure,
    "cross_section": cross_section.measure,
}


def measure(given: Given, threads: int) -> str:
    """Write the measurement; returns its numbers, to print.

    Raises MeasurementError where a checkpoint cannot be measured, TrainingError where it cannot
    be read, and OutOfMemory.
    """
    target = device(threads)
    model = family_of(given.checkpoint).load_model(given.checkpoint).to(target).eval()
    said = _choices(given, model) if given.tokenizer else _tokens(given, model, target)
    return f"{said}\n{headlines(given.out, given.measurement)}"


def _tokens(given: Given, model: LanguageModel, target: torch.device) -> str:
    assert given.tokens is not None
    input_ids = evaluation_tokens(given.tokens, model, target)
    name = given.measurement
    input_ids = input_ids[: getattr(getattr(given.settings, name, None), "sequences", None)]
    asked = given.micro_batch_size
    micro_batch = micro_batch_of(name, model, asked, *input_ids.shape)
    if name == "delta_loss":
        _delta_loss(given, model, input_ids, micro_batch)
    else:
        each, steps = _measure(given, model, input_ids), {given.step: given.checkpoint}
        measure_checkpoints(name, each, steps, given.out, micro_batch, run=given.name)
    further = f" to {given.next}" if given.next else ""
    return f"{given.out}: {name} of {given.checkpoint}{further} on {len(input_ids)} sequences"


def _delta_loss(
    given: Given, model: LanguageModel, input_ids: Tensor, micro_batch: MicroBatch
) -> None:
    assert given.next is not None

    def losses(folder: Path) -> np.ndarray:
        model.load(folder)
        try:
            return micro_batch.fit(lambda size: token_losses.evaluate(model, input_ids, size))
        except MeasurementError as error:
            raise MeasurementError(f"{folder}: {error}") from None

    # The first one was read: what is wrong with the second shows before anything is computed.
    later, earlier = losses(given.next), losses(given.checkpoint)
    with writing(given.out, run=given.name, measurement=given.measurement) as file:
        delta = np.subtract(later, earlier, dtype=np.float64)
        write_delta_loss(file, given.step, given.step_next, delta)


def _choices(given: Given, model: LanguageModel) -> str:
    assert given.tokenizer is not None
    settings, length = given.settings.downstream, model.context
    tasks = {
        task: downstream.encode(
            sample_items(read_items(task), settings.items, settings.seed), given.tokenizer, length
        )
        for task in settings.tasks
    }
    parts = [part for questions in tasks.values() for part in questions.parts]
    longest = max(len(part.tokens) for part in parts) - 1
    asked = given.micro_batch_size
    micro_batch = micro_batch_of(given.measurement, model, asked, len(parts), longest)
    measure_checkpoints(
        given.measurement,
        of_weights(downstream.measure, model, tasks),
        {given.step: given.checkpoint},
        given.out,
        micro_batch,
        run=given.name,
        seed=settings.seed,
    )
    return f"{given.out}: {given.measurement} of {given.checkpoint}, {settings.asked}"


def _measure(given: Given, model: LanguageModel, input_ids: Tensor) -> Measure:
    name = given.measurement
    if name in OF_WEIGHTS:
        return of_weights(OF_WEIGHTS[name], model, input_ids)
    if given.next is not None:
        return _towards(given, model, input_ids)
    run, batches = _of_step(given, model, input_ids.device)
    if name in ALONG_UPDATE:
        step = NextStep(run, model, input_ids.device)
        chosen = getattr(given.settings, name)
        return along_update(ALONG_UPDATE[name], step, batches[0], input_ids, chosen)
    chosen = given.settings.single_step.model_dump()
    return single_step.of_run(run, model, batches, input_ids, chosen)


def _towards(given: Given, model: LanguageModel, input_ids: Tensor) -> Measure:
    """Measure along the difference to the checkpoint that follows."""

    def each(folder: Path, micro_batch_size: int, group: h5py.Group) -> None:
        assert given.next is not None
        model.load(given.next)
        after = copy_of(model)
        model.load(folder)
        update = difference(copy_of(model), after)
        chosen = getattr(given.settings, given.measurement)
        ALONG_UPDATE[given.measurement](model, input_ids, update, chosen, micro_batch_size, group)

    return each


def _of_step(given: Given, model: LanguageModel, target: torch.device) -> tuple[Run, Tensor]:
    """The run, and its training batches (batches, sequences, positions)."""
    assert given.run is not None and given.batches is not None
    flat = given.batches.reshape(-1, given.batches.shape[-1])
    return given.run, evaluation_tokens(flat, model, target).view(given.batches.shape)
