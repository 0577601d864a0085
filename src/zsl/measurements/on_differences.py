"""What is measured along the difference between a checkpoint and the next one.

Of checkpoints that others trained, without the states of their optimizer: the update G of a step
is not known then, and that of all steps up to the next checkpoint takes its place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from zsl.config.grids import checkpoint_name
from zsl.config.measurements import Measurement
from zsl.measurements.checkpoints import Prepared
from zsl.measurements.next_step import Weights, along_update, copy_of, difference
from zsl.measurements.on_tokens import held_out
from zsl.models.base import LanguageModel
from zsl.training.finished import verified_checkpoint


def prepare(
    settings: Measurement,
    asked: dict[str, Any],
    inputs: Any,
    model: LanguageModel,
    target: torch.device,
) -> Prepared:
    """A measurement by what is ``asked`` and the inputs of its job, of checkpoints of ``model``, on
    the device ``target``."""
    model = model.to(target).eval()
    input_ids = held_out(asked["evaluation"], inputs, model, target)
    following = {checkpoint_name(step): _next(inputs, later) for step, later in asked["following"]}

    def update(folder: Path) -> Weights:
        model.load(following[folder.name])
        after = copy_of(model)
        model.load(folder)
        return difference(copy_of(model), after)

    measure = along_update(settings, model, input_ids, update)
    return Prepared(measure, model, (len(input_ids), input_ids.shape[1]))


def _next(inputs: Any, later: int) -> Path:
    """The checkpoint of step ``later``, in the same segment or in the next one."""
    here = Path(inputs.checkpoints)
    if (here / checkpoint_name(later)).is_dir():
        return verified_checkpoint(Path(inputs.manifest), here, later, weights_only=True)
    manifest, folder = Path(inputs.next_manifest), Path(inputs.next_checkpoints)
    return verified_checkpoint(manifest, folder, later, weights_only=True)
