"""``single_step``: what one optimizer step does to the losses of single tokens.

From each checkpoint, and for each of some batches that no checkpoint has seen, one real step is
made; losses before and after are taken on that batch and on the evaluation set (Section B.2,
Fig. 16), and the step is held against the gradients of both (Eq. 11, Fig. 11).
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from zsl.config.measurements import SingleStep
from zsl.measurements.hdf5 import write_dataset
from zsl.measurements.interference import interference
from zsl.measurements.losses import losses_of
from zsl.measurements.next_step import NextStep, Weights, copy_of, cosine, norm
from zsl.measurements.token_losses import evaluate
from zsl.models.base import LanguageModel
from zsl.training.checkpoint import load_checkpoint


def mean_gradient(model: LanguageModel, input_ids: Tensor, micro_batch_size: int) -> Weights:
    """Gradient of the mean loss over all predictions of ``input_ids`` (sequences, positions)."""
    model.zero_grad(set_to_none=True)
    n = input_ids[:, 1:].numel()
    for micro_batch in input_ids.split(micro_batch_size):
        (losses_of(model, micro_batch).sum() / n).backward()
    named = model.named_parameters()
    gradient = {name: p.grad.detach() for name, p in named if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return gradient


def measure(
    next_step: NextStep,
    folder: Path,
    batches: Tensor,
    input_ids: Tensor,
    settings: SingleStep,
    micro_batch_size: int,
    group: h5py.Group,
) -> None:
    """Write the steps from the checkpoint in ``folder`` to ``group``.

    ``batches`` (batches, sequences, positions) are trained on, ``input_ids`` (sequences,
    positions) is the evaluation set.
    """
    model = next_step.model
    t = next_step.load(folder)
    start = evaluate(model, input_ids, micro_batch_size)
    again = evaluate(model, input_ids, max(1, micro_batch_size // 2))
    gradient = mean_gradient(model, input_ids, micro_batch_size)
    rows: list[dict[str, float]] = []
    changes: dict[str, list[np.ndarray]] = {"train": [], "eval": []}
    for batch in batches:
        if rows and settings.variant == "reloaded":
            next_step.load(folder)
        elif rows:
            _reload_optimizer(next_step, folder)
        before = evaluate(model, batch, micro_batch_size)
        made = next_step.step(t, batch)
        changes["train"].append(_change(before, evaluate(model, batch, micro_batch_size)))
        changes["eval"].append(_change(start, evaluate(model, input_ids, micro_batch_size)))
        rows.append(
            {
                "update_norm": norm(made.update),
                "grad_norm_train": made.grad_norm,
                "cos_train": cosine(made.update, made.gradient),
                "cos_eval": cosine(made.update, gradient),
            }
        )
    _write(group, rows, changes)
    floor = interference(_change(start, again)).M
    write_dataset(group, "M_noop", floor, units="nats", description=NOOP)
    write_dataset(group, "grad_norm_eval", norm(gradient), units=NORM_UNITS, description=GRAD_EVAL)
    group.attrs["variant"] = settings.variant


def _reload_optimizer(next_step: NextStep, folder: Path) -> None:
    """The optimizer as in the checkpoint, the weights as they are."""
    model = next_step.model
    weights = copy_of(model)
    load_checkpoint(folder, model, next_step.optimizer)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])


def _change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.subtract(after, before, dtype=np.float64)


NORM_UNITS = "nats per unit of parameter norm"
NOOP = (
    "M (Eq. 5) of the evaluation losses at the checkpoint against themselves, computed in "
    "micro-batches of half the size: the floor that rounding sets"
)
GRAD_EVAL = "norm of the gradient of the mean evaluation loss at the checkpoint"
COLUMNS = (
    ("update_norm", "parameter norm", "norm of the step (Eq. 11)"),
    ("grad_norm_train", NORM_UNITS, "norm of the gradient of the batch's loss, before clipping"),
    ("cos_train", "1", "cosine between the step and the gradient of the batch's loss (Eq. 11)"),
    ("cos_eval", "1", "cosine between the step and the gradient of the mean evaluation loss"),
)
MEASURES = (
    ("D", "1", "destructive interference (Eq. 3) of the changes on the {split} tokens"),
    ("M", "nats", "mean absolute change (Eq. 5) on the {split} tokens"),
    ("mean", "nats", "mean change on the {split} tokens"),
)


def _write(
    group: h5py.Group, rows: list[dict[str, float]], changes: dict[str, list[np.ndarray]]
) -> None:
    for name, units, description in COLUMNS:
        values = np.array([row[name] for row in rows])
        write_dataset(group, name, values, units=units, axes=("batches",), description=description)
    for split, deltas in changes.items():
        write_dataset(
            group,
            f"delta_loss_{split}",
            np.stack(deltas).astype(np.float32),
            units="nats",
            axes=("batches", "sequences", "positions"),
            description=f"change of the losses of the {split} tokens by the step of each batch; "
            "improvement is negative",
        )
        measured = [interference(delta) for delta in deltas]
        for name, units, description in MEASURES:
            write_dataset(
                group,
                f"{name}_{split}",
                np.array([getattr(each, name) for each in measured]),
                units=units,
                axes=("batches",),
                description=description.format(split=split),
            )
