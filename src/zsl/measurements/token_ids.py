"""Whether a model can be measured on some token ids."""

from __future__ import annotations

import numpy as np

from zsl.errors import MeasurementError


def check_ids(input_ids: np.ndarray, context: int | None, rows: int | None) -> None:
    """Check ids (sequences, positions) against a model's context and rows of its embedding, where
    they are known.

    Raises MeasurementError when the sequences are longer than the context, have nothing to
    predict, or hold an id that the embedding has no row for.
    """
    if input_ids.ndim != 2 or input_ids.shape[0] < 1 or input_ids.shape[1] < 2:
        raise MeasurementError(
            f"evaluation tokens have the shape {input_ids.shape}; (sequences, positions) with at "
            "least 1 sequence of 2 positions are needed"
        )
    if context is not None and input_ids.shape[1] > context:
        raise MeasurementError(
            f"evaluation sequences have {input_ids.shape[1]} tokens, the model's context is "
            f"{context}; evaluate shorter sequences"
        )
    low, high = int(input_ids.min()), int(input_ids.max())
    if low < 0:
        raise MeasurementError(
            f"evaluation tokens reach from {low} to {high}, and no id is negative: -100 marks what "
            "a loss leaves out, and int16 has no room for ids above 32,767; give ids as uint16 or "
            "uint32"
        )
    if rows is not None and high >= rows:
        raise MeasurementError(
            f"evaluation tokens reach from {low} to {high}, the model's embedding has {rows} rows; "
            "use the tokenizer that the model was trained with"
        )
