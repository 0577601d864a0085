"""``token_losses``: the loss of every evaluation token at a checkpoint.

Losses come from float32 weights and float32 logits: rounding to bfloat16 would move a token
by about 0.01 nats, a tenth of what a late step changes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from olmo.model import OLMo

from zsl.config.grids import checkpoint_name
from zsl.errors import MeasurementError
from zsl.measurements.hdf5 import write_dataset, writing
from zsl.training.checkpoint import load_weights
from zsl.training.step import token_losses

DESCRIPTION = (
    "cross-entropy of evaluation token p + 1 of each sequence given the tokens up to p, over "
    "all rows of the embedding, from float32 logits"
)


@torch.inference_mode()
def evaluate(
    model: OLMo, input_ids: np.ndarray, micro_batch_size: int, device: torch.device
) -> np.ndarray:
    """Losses of all predictions of ``input_ids`` (sequences, positions).

    Returns (sequences, positions - 1) float32 in nats. Raises MeasurementError when the
    sequences are longer than the model's context or a loss is not finite.
    """
    context = model.config.max_sequence_length
    if input_ids.shape[1] > context:
        raise MeasurementError(
            f"evaluation sequences have {input_ids.shape[1]} tokens, the model's context is "
            f"{context}; evaluate shorter sequences"
        )
    losses = np.empty((input_ids.shape[0], input_ids.shape[1] - 1), dtype=np.float32)
    for start in range(0, len(input_ids), micro_batch_size):
        batch = torch.from_numpy(input_ids[start : start + micro_batch_size]).to(device)
        part = token_losses(model(batch).logits, batch)
        losses[start : start + micro_batch_size] = part.cpu().numpy()
    if not np.isfinite(losses).all():
        sequence, position = np.argwhere(~np.isfinite(losses))[0]
        raise MeasurementError(
            f"the loss of evaluation sequence {sequence} at position {position} is not finite"
        )
    return losses


def measure_token_losses(
    model: OLMo,
    checkpoints: dict[int, Path],
    input_ids: np.ndarray,
    out: Path,
    *,
    run: str,
    micro_batch_size: int,
    device: torch.device,
    report: Callable[[int], None] = lambda done: None,
) -> None:
    """Write the token losses of ``checkpoints`` (folder by step) to the HDF5 file ``out``."""
    model = model.to(device).eval()
    with writing(out, run=run, measurement="token_losses") as file:
        for done, (step, folder) in enumerate(sorted(checkpoints.items()), start=1):
            load_weights(folder, model)
            try:
                losses = evaluate(model, input_ids, micro_batch_size, device)
            except MeasurementError as error:
                raise MeasurementError(f"{folder}: {error}") from None
            group = file.create_group(checkpoint_name(step))
            group.attrs["step"] = step
            write_dataset(
                group,
                "token_losses",
                losses,
                units="nats",
                axes=("sequences", "positions"),
                description=DESCRIPTION,
            )
            report(done)
