"""Numbers that follow from an architecture without building it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zsl.config.schema import Model, Run


def n_parameters(model: Model, rows: int, sequence_length: int) -> int:
    """All parameters of a model, embeddings included; the six sizes of Table 3 are exact.

    ``rows`` is the number of rows of the embedding matrix. Norms have no weights and there
    are no biases.
    """
    d = model.d_model
    hidden = model.mlp_ratio * d
    attention = 3 * d * d + d * d
    inner = hidden // 2 if model.activation == "swiglu" else hidden
    mlp = d * hidden + inner * d
    positions = 0 if model.rope else sequence_length * d
    unembedding = 0 if model.weight_tying else rows * d
    return rows * d + unembedding + positions + model.n_layers * (attention + mlp)


def tokens_per_step(run: Run) -> int:
    """Tokens that one optimizer step reads."""
    return run.batch_size * run.sequence_length
