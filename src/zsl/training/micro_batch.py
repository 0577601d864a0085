"""How many sequences each process reads at once, found before processes wait for one another.

A process alone finds out as it goes (:mod:`zsl.memory`). Of several, one that ran out of memory
in the middle of a step would leave the others waiting for its gradients.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from zsl.config.schema import Run
from zsl.memory import MicroBatch, at_once, check_room
from zsl.models.base import LanguageModel
from zsl.training.sharding import of_this_process, weights
from zsl.training.step import alone, backward_alone

if TYPE_CHECKING:
    from zsl.training.segment import Trainer

KEPT = "micro_batch_size.json"
MOMENTS = 2
"""Numbers that an optimizer will keep for each weight."""

LOGIT_COPIES = 3
"""Arrays of the size of the logits that a training step holds at once."""


def first_size(run: Run, model: LanguageModel, share: int) -> int:
    """Sequences per pass to begin with, of a process' ``share`` of the batch."""
    asked = run.precision.micro_batch_size or at_once(share, _each(run, model), model.table.device)
    return min(asked, share)


def _each(run: Run, model: LanguageModel) -> int:
    """Bytes that a training step takes for a sequence."""
    logits = run.sequence_length * model.rows * torch.float32.itemsize
    return model.activation_bytes(run.sequence_length, gradients=True) + LOGIT_COPIES * logits


def settle_micro_batch(trainer: Trainer, state: Path) -> None:
    """Choose what an earlier attempt found to fit, and what fits in every process.

    Raises OutOfMemory where one sequence does not fit, or the memory of a CPU is too small.
    """
    trainer.micro_batch = MicroBatch.kept(state / KEPT, trainer.micro_batch.size)
    if trainer.group.device.type == "cpu":
        _check_room(trainer)
    if trainer.group.world_size == 1:
        return
    room = _room_for_state(trainer)
    trainer.micro_batch.fit(lambda size: _try(trainer, size))
    del room
    trainer.micro_batch.size = trainer.group.least(trainer.micro_batch.size)


def _check_room(trainer: Trainer) -> None:
    size, run = trainer.micro_batch.size, trainer.run
    of_weights = sum(weight.nbytes for weight in trainer.model.parameters())
    check_room(
        size * _each(run, trainer.model) + (1 + MOMENTS) * of_weights,
        f"training steps of {size} sequences of {run.sequence_length:,} tokens at once",
        "lower precision.micro_batch_size" if size > 1 else "train a smaller model",
    )


def _try(trainer: Trainer, size: int) -> None:
    """Forward and backward pass of ``size`` sequences, of which nothing is kept."""
    step = min(trainer.state.step + 1, trainer.run.steps)
    input_ids = trainer.loader.batch(step)[:size]
    with alone(trainer.module):
        backward_alone(trainer.module, input_ids, trainer.run, trainer.group)
    trainer.module.zero_grad(set_to_none=True)


def _room_for_state(trainer: Trainer) -> torch.Tensor | None:
    """As much memory as the optimizer's state will take, where it has none yet."""
    mine = of_this_process(trainer.optimizer)
    if mine.state or trainer.group.device.type != "cuda":
        return None
    numbers = MOMENTS * sum(weight.numel() for weight in weights(mine))
    return torch.empty(numbers, dtype=torch.float32, device=trainer.group.device)
