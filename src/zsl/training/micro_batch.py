"""How many sequences a training step reads at once, to begin with."""

from __future__ import annotations

import torch

from zsl.config.schema import Run
from zsl.memory import at_once
from zsl.models.base import LanguageModel

LOGIT_COPIES = 3
"""Arrays of the size of the logits that a training step holds at once."""


def first_size(run: Run, model: LanguageModel, share: int) -> int:
    """Sequences per pass to begin with, of a process' ``share`` of the batch."""
    each = bytes_of_sequence(run, model)
    asked = run.precision.micro_batch_size or at_once(share, each, model.table.device)
    return min(asked, share)


def bytes_of_sequence(run: Run, model: LanguageModel) -> int:
    """Bytes that a training step takes for a sequence."""
    logits = run.sequence_length * model.rows * torch.float32.itemsize
    return model.activation_bytes(run.sequence_length, gradients=True) + LOGIT_COPIES * logits
