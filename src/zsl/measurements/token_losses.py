"""``token_losses``: the loss of every evaluation token at a checkpoint.

Losses come from float32 weights and float32 logits: rounding to bfloat16 would move a token
by about 0.01 nats, a tenth of what a late step changes.
"""

from __future__ import annotations

import h5py
import numpy as np
import torch
from torch import Tensor

from zsl.errors import MeasurementError
from zsl.measurements.hdf5 import write_dataset
from zsl.measurements.losses import losses_of
from zsl.models.base import LanguageModel

DESCRIPTION = (
    "cross-entropy of evaluation token p + 1 of each sequence given the tokens up to p, over "
    "all rows of the embedding, from float32 logits"
)


@torch.inference_mode()
def evaluate(model: LanguageModel, input_ids: Tensor, micro_batch_size: int) -> np.ndarray:
    """Losses of all predictions of ``input_ids`` (sequences, positions).

    Returns (sequences, positions - 1) float32 in nats. Raises MeasurementError when a loss is
    not finite.
    """
    parts = [losses_of(model, batch).float().cpu() for batch in input_ids.split(micro_batch_size)]
    losses = torch.cat(parts).numpy()
    if not np.isfinite(losses).all():
        sequence, position = np.argwhere(~np.isfinite(losses))[0]
        raise MeasurementError(
            f"the loss of evaluation sequence {sequence} at position {position} is not finite"
        )
    return losses


def measure(
    model: LanguageModel, input_ids: Tensor, micro_batch_size: int, group: h5py.Group
) -> None:
    """Write the token losses of ``model`` to ``group``."""
    write_dataset(
        group,
        "token_losses",
        evaluate(model, input_ids, micro_batch_size),
        units="nats",
        axes=("sequences", "positions"),
        description=DESCRIPTION,
    )
