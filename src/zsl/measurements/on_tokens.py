"""What is measured of weights on the evaluation tokens of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zsl.config.measurements import Measurement
from zsl.data.manifest import read_manifest
from zsl.data.tokens import open_split
from zsl.measurements.checkpoints import Prepared, evaluation_tokens, function_of, of_weights
from zsl.models.base import LanguageModel


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
    measure = of_weights(function_of(settings, model), model, input_ids)
    return Prepared(measure, model, (len(input_ids), input_ids.shape[1]))


def held_out(
    evaluation: dict[str, int], inputs: Any, model: LanguageModel, target: torch.device
) -> Tensor:
    """The first evaluation sequences, (sequences, positions) on ``target``."""
    manifest, files = read_manifest(Path(inputs.tokens)), Path(inputs.token_files)
    tokens = open_split(files, manifest, "eval", evaluation["sequence_length"])
    return evaluation_tokens(tokens.batch(np.arange(evaluation["sequences"])), model, target)
