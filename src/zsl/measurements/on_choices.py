"""What is measured of weights on multiple-choice tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from pydantic import TypeAdapter

from zsl.config.measurements import Downstream, Measurement
from zsl.config.schema import Model
from zsl.config.sources import Tokenizer
from zsl.data.tasks import task_files
from zsl.data.tokenizer import load_tokenizer
from zsl.measurements.checkpoints import Prepared, function_of, of_weights
from zsl.measurements.downstream import questions_of
from zsl.models.olmo.build import empty_model


def prepare(settings: Measurement, params: Any, inputs: Any, target: torch.device) -> Prepared:
    """A measurement by the parameters and inputs of its job; on the device ``target``."""
    chosen, length = cast(Downstream, settings), params.context["sequence_length"]
    tasks = questions_of(chosen, load_tokenizer(Path(inputs.tokenizer)), length)
    declared = TypeAdapter(Tokenizer).validate_python(params.tokenizer)
    model = empty_model(Model.model_validate(params.model), length, declared).to(target).eval()
    return Prepared(
        of_weights(function_of(settings, model), model, tasks),
        model,
        (max(len(questions.parts) for questions in tasks.values()), length),
        {"seed": chosen.seed},
        {"sources": task_files(chosen.tasks)},
    )
