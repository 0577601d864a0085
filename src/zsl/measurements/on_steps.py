"""What is measured of the next steps of a run, on batches that no checkpoint has seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from zsl.config.measurements import Measurement
from zsl.config.schema import Run
from zsl.data.manifest import read_manifest
from zsl.data.tokens import open_training
from zsl.measurements.checkpoints import Prepared
from zsl.measurements.next_step import first_batches, of_steps, unseen_batches
from zsl.measurements.on_tokens import held_out
from zsl.models.base import LanguageModel
from zsl.training.order import run_order


def prepare(
    settings: Measurement,
    asked: dict[str, Any],
    inputs: Any,
    model: LanguageModel,
    target: torch.device,
) -> Prepared:
    """A measurement by what is ``asked`` and the inputs of its job, of checkpoints of ``model``, on
    the device ``target``."""
    run = Run.model_validate(asked["run"])
    manifest = read_manifest(Path(inputs.tokens))
    train = open_training(Path(inputs.token_files), manifest, run)
    position, n = 0, asked["batches"]
    if asked["data_order"].get("first"):
        unseen = first_batches(len(train), run.batch_size, n)
    else:
        position = run.steps * run.batch_size
        order = run_order(run, len(train), asked["data_order"]["data_seed"])
        unseen = unseen_batches(order, run, n)
    batches = torch.stack([torch.from_numpy(train.batch(indices)) for indices in unseen])
    input_ids = held_out(asked["evaluation"], inputs, model, target)
    measure = of_steps(settings, run, model.eval(), batches.to(target), input_ids)
    where = {"data_position": position, "batch_size": run.batch_size}
    return Prepared(measure, model, (len(input_ids), input_ids.shape[1]), where)
