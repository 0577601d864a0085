"""What is measured of weights on multiple-choice tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch

from zsl.config.measurements import Downstream, Measurement
from zsl.data.tasks import task_files
from zsl.data.tokenizer import load_tokenizer
from zsl.measurements.checkpoints import Prepared, function_of, of_weights
from zsl.measurements.downstream import questions_of
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
    chosen, length, model = cast(Downstream, settings), model.context, model.to(target).eval()
    tasks = questions_of(chosen, load_tokenizer(Path(inputs.tokenizer)), length)
    return Prepared(
        of_weights(function_of(settings, model), model, tasks),
        model,
        (max(len(questions.parts) for questions in tasks.values()), length),
        {"seed": chosen.seed},
        {"sources": task_files(chosen.tasks)},
    )
