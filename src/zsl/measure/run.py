"""Doing what ``zsl measure`` was asked.

Without an optimizer, the checkpoint that follows says what the update is: their difference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zsl.config.measurements import Downstream
from zsl.errors import MeasurementError
from zsl.measure.given import Given
from zsl.measure.headlines import headlines
from zsl.measurements.checkpoints import (
    Measure,
    evaluation_tokens,
    function_of,
    measure_checkpoints,
    of_weights,
)
from zsl.measurements.delta_loss import write_delta_loss
from zsl.measurements.downstream import questions_of
from zsl.measurements.hdf5 import writing
from zsl.measurements.next_step import Weights, along_update, copy_of, difference, of_steps
from zsl.measurements.room import micro_batch_of
from zsl.measurements.token_losses import evaluate
from zsl.memory import MicroBatch
from zsl.models.base import LanguageModel
from zsl.models.families import family_of
from zsl.training.device import device


def measure(given: Given, threads: int) -> str:
    """Write the measurement; returns its numbers, to print.

    Raises MeasurementError where a checkpoint cannot be measured, TrainingError where it cannot
    be read, and OutOfMemory.
    """
    target = device(threads)
    model = family_of(given.checkpoint).load_model(given.checkpoint).to(target).eval()
    said = _choices(given, model) if given.tokenizer else _tokens(given, model, target)
    return f"{said}\n{headlines(given.out, given.settings)}"


def _tokens(given: Given, model: LanguageModel, target: torch.device) -> str:
    assert given.tokens is not None
    settings = given.settings
    input_ids = evaluation_tokens(given.tokens, model, target)
    input_ids = input_ids[: getattr(settings, "sequences", None)]
    micro_batch = micro_batch_of(settings, model, given.micro_batch_size, *input_ids.shape)
    if settings.reads == "losses":
        _delta_loss(given, model, input_ids, micro_batch)
    else:
        _write(given, _measure(given, model, input_ids), micro_batch)
    further = f" to {given.next}" if given.next else ""
    return (
        f"{given.out}: {settings.name} of {given.checkpoint}{further} on {len(input_ids)} sequences"
    )


def _write(given: Given, each: Measure, micro_batch: MicroBatch, **attributes: Any) -> None:
    steps, name = {given.step: given.checkpoint}, given.settings.name
    measure_checkpoints(name, each, steps, given.out, micro_batch, run=given.name, **attributes)


def _delta_loss(
    given: Given, model: LanguageModel, input_ids: Tensor, micro_batch: MicroBatch
) -> None:
    assert given.next is not None

    def losses(folder: Path) -> np.ndarray:
        model.load(folder)
        try:
            return micro_batch.fit(lambda size: evaluate(model, input_ids, size))
        except MeasurementError as error:
            raise MeasurementError(f"{folder}: {error}") from None

    # The first one was read: what is wrong with the second shows before anything is computed.
    later, earlier = losses(given.next), losses(given.checkpoint)
    with writing(given.out, run=given.name, measurement=given.settings.name) as file:
        delta = np.subtract(later, earlier, dtype=np.float64)
        draws = {"resamples": given.curves.resamples, "seed": given.curves.resampling_seed}
        write_delta_loss(file, given.step, given.step_next, delta, **draws)


def _choices(given: Given, model: LanguageModel) -> str:
    settings = given.settings
    assert given.tokenizer is not None and isinstance(settings, Downstream)
    tasks = questions_of(settings, given.tokenizer, model.context)
    parts = [part for questions in tasks.values() for part in questions.parts]
    longest = max(len(part.tokens) for part in parts) - 1
    micro_batch = micro_batch_of(settings, model, given.micro_batch_size, len(parts), longest)
    each = of_weights(function_of(settings, model), model, tasks)
    _write(given, each, micro_batch, seed=settings.seed)
    return f"{given.out}: {settings.name} of {given.checkpoint}, {settings.asked}"


def _measure(given: Given, model: LanguageModel, input_ids: Tensor) -> Measure:
    settings = given.settings
    if settings.step is None:
        return of_weights(function_of(settings, model), model, input_ids)
    if given.next is not None:
        return along_update(
            settings, model, input_ids, lambda folder: _towards(given, model, folder)
        )
    assert given.run is not None and given.batches is not None
    flat = given.batches.reshape(-1, given.batches.shape[-1])
    batches = evaluation_tokens(flat, model, input_ids.device).view(given.batches.shape)
    return of_steps(settings, given.run, model, batches, input_ids)


def _towards(given: Given, model: LanguageModel, folder: Path) -> Weights:
    """The difference to the checkpoint that follows; leaves ``model`` at the one in ``folder``."""
    assert given.next is not None
    model.load(given.next)
    after = copy_of(model)
    model.load(folder)
    return difference(copy_of(model), after)
