"""Settings that all optimizers share, so that a suite gives them once for its runs."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from zsl.config.base import Settings


class Shared(Settings):
    """Constants of AdamW, which every optimizer here extends (A.1)."""

    moments: ClassVar[int] = 2
    """Numbers that are kept for each weight, beside it."""
    moments_of_matrices: ClassVar[int] = 2
    """The same of the matrices of blocks."""

    learning_rate: float = Field(gt=0)
    """Peak learning rate."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Decay of the first and second moment."""
    eps: float = Field(default=1e-5, gt=0)
    """Added to the root of the second moment."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Decoupled weight decay: a step shrinks weights by it times the rate."""
    decay_embeddings: bool = False
    """Whether embeddings, of tokens and of learned positions, decay, too."""
    clip: float = Field(default=1.0, gt=0, allow_inf_nan=True)
    """Largest global gradient norm; .inf for no clipping."""
