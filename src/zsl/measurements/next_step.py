"""The optimizer step that a run would make next from a checkpoint.

It is the run's own step: its intervention, precision, clipping, decay and moments, and the
schedule's rate of step t + 1. Its batch is one that no checkpoint has seen: the data positions
after the run's last step, the same for every t.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from zsl.config.measurements import Measurement
from zsl.config.schema import Run
from zsl.errors import MeasurementError
from zsl.measurements.checkpoints import Measure, function_of
from zsl.memory import MicroBatch
from zsl.models.base import LanguageModel
from zsl.training.checkpoint import load_checkpoint
from zsl.training.micro_batch import first_size
from zsl.training.model import learning_rate, make_optimizer, make_passes, make_scheduler
from zsl.training.order import Order, batch_indices
from zsl.training.parallel import Processes
from zsl.training.step import StepResult, train_step, wrap

Weights = dict[str, Tensor]
"""Tensors by the names of the weights, of their shapes."""


def unseen_batches(order: Order, run: Run, n: int) -> np.ndarray:
    """Indices of the sequences of the ``n`` batches after the run's last step, (batches, size).

    Where sequences are drawn, some may have been drawn before.

    Raises MeasurementError when the corpus ends before.
    """
    batches = [batch_indices(order, run.steps + 1 + i, run.batch_size) for i in range(n)]
    if len(batches[-1]) < run.batch_size:
        raise MeasurementError(
            f"the corpus has {len(order):,} training sequences; {run.steps:,} steps and {n} "
            f"batches that no checkpoint has seen need {(run.steps + n) * run.batch_size:,}; "
            "lower steps or batch_size, or add text"
        )
    return np.stack(batches)


def first_batches(sequences: int, batch_size: int, n: int) -> np.ndarray:
    """Indices of the sequences of the first ``n`` batches of a corpus, (batches, size).

    Raises MeasurementError when there are not so many.
    """
    if n * batch_size > sequences:
        raise MeasurementError(
            f"the corpus has {sequences:,} training sequences; {n} batches of {batch_size:,} for "
            "the next update need more; lower update_batch_size or single_step.batches, or add text"
        )
    return np.arange(n * batch_size).reshape(n, batch_size)


@dataclass(frozen=True)
class Step:
    """What one optimizer step did; tensors are float32 or wider, on the model's device."""

    update: Weights
    """Change of the weights."""
    gradient: Weights
    """Direction of the gradient of the batch's loss, as clipped."""
    grad_norm: float
    """Norm of that gradient before clipping, nats per unit of the parameters' norm."""


class NextStep:
    """Makes steps from checkpoints of a run, in the memory of one model."""

    def __init__(self, run: Run, model: LanguageModel, device: torch.device) -> None:
        # A few steps would not repay compiling.
        precision = run.precision.model_copy(update={"compile": False})
        self.run = run.model_copy(update={"precision": precision})
        self.model = model.to(device)
        self.optimizer = make_optimizer(self.run, self.model)
        self._group = Processes(rank=0, world_size=1, device=device)
        self._module = wrap(self.model, self.run, self._group)
        self._scheduler = make_scheduler(self.run)
        self._passes = make_passes(self.run, self.model, self.optimizer)
        self._micro_batch = MicroBatch(first_size(self.run, self.model, self.run.batch_size))

    def load(self, folder: Path) -> int:
        """Load weights and optimizer of a checkpoint; returns its step t."""
        return load_checkpoint(folder, self.model, self.optimizer).step

    def step(self, t: int, input_ids: Tensor) -> Step:
        """Make the update of step t + 1 on ``input_ids`` (sequences, positions).

        Raises MeasurementError when it is not finite.
        """
        before = copy_of(self.model)
        gradient: Weights = {}

        def keep(*_: object) -> None:
            for name, parameter in self.model.named_parameters():
                if parameter.grad is not None:
                    gradient[name] = parameter.grad.detach()

        handle = self.optimizer.register_step_pre_hook(keep)
        try:
            rate = learning_rate(self.run, self._scheduler, t + 1)
            made = self.train(input_ids, rate, t + 1)
        finally:
            handle.remove()
        update = difference(before, copy_of(self.model))
        if not all(change.isfinite().all() for change in update.values()):
            raise MeasurementError(f"the update of step {t + 1} is not finite")
        return Step(update, gradient, float(made.grad_norm))

    def train(self, input_ids: Tensor, rate: float, step: int = 1) -> StepResult:
        """One training step at a rate of one's own."""
        return train_step(
            self._module,
            self.optimizer,
            input_ids,
            self.run,
            self._group,
            learning_rate=rate,
            micro_batch=self._micro_batch,
            passes=self._passes,
            step=step,
        )

    def update(self, folder: Path, input_ids: Tensor) -> Weights:
        """The update of the step after a checkpoint; leaves the model at the checkpoint."""
        made = self.step(self.load(folder), input_ids)
        self.model.load(folder)
        return made.update


def of_steps(
    settings: Measurement, run: Run, model: LanguageModel, batches: Tensor, input_ids: Tensor
) -> Measure:
    """What makes a measurement along the update on the first of ``batches``, or of steps on each.

    ``batches`` (batches, sequences, positions) are training tokens, ``input_ids`` (sequences,
    positions) evaluation tokens, both on the device to compute on. Raises MeasurementError where
    ``model`` cannot do what the measurement asks for.
    """
    measure, step = function_of(settings, model), stepper(run, model, settings, input_ids.device)
    if settings.step == "along":
        return along_update(
            settings, model, input_ids, lambda folder: step.update(folder, batches[0])
        )

    def measure_checkpoint(folder: Path, micro_batch_size: int, group: h5py.Group) -> None:
        measure(step, folder, batches, input_ids, settings, micro_batch_size, group)

    return measure_checkpoint


def along_update(
    settings: Measurement,
    model: LanguageModel,
    input_ids: Tensor,
    update: Callable[[Path], Weights],
) -> Measure:
    """What makes a measurement on ``input_ids`` along the ``update`` that follows a checkpoint,
    which leaves ``model`` at the checkpoint."""
    measure = function_of(settings, model)

    def measure_checkpoint(folder: Path, micro_batch_size: int, group: h5py.Group) -> None:
        measure(model, input_ids, update(folder), settings, micro_batch_size, group)

    return measure_checkpoint


def stepper(
    run: Run, model: LanguageModel, settings: Measurement, device: torch.device
) -> NextStep:
    """The steps of a run, or of the variant that ``settings`` name."""
    if getattr(settings, "variant", "reloaded") == "reloaded":
        return NextStep(run, model, device)
    unclipped = run.optimizer.model_copy(update={"clip": float("inf")})
    return NextStep(run.model_copy(update={"optimizer": unclipped}), model.bfloat16(), device)


def copy_of(model: LanguageModel) -> Weights:
    """The weights of ``model``, copied."""
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def difference(before: Weights, after: Weights) -> Weights:
    """Later minus earlier."""
    return {name: after[name] - weight for name, weight in before.items()}


def norm(weights: Weights) -> float:
    """Euclidean norm over all coordinates, accumulated in float64."""
    return sum(float(tensor.double().square().sum()) for tensor in weights.values()) ** 0.5


def cosine(a: Weights, b: Weights) -> float:
    """Cosine between two sets of weights; NaN when one is zero."""
    product = sum(float((a[name].double() * b[name].double()).sum()) for name in b)
    norms = norm(a) * norm(b)
    return product / norms if norms > 0 else float("nan")
