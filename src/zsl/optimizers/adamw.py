"""AdamW (Loshchilov and Hutter, 2019), as OLMo makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from zsl.optimizers.base import Shared

if TYPE_CHECKING:
    from olmo.model import OLMo
    from torch.optim import Optimizer


class AdamW(Shared):
    """The optimizer of the paper's main experiment (A.1)."""

    name: Literal["adamw"] = "adamw"
    """AdamW, the default."""


def build(settings: AdamW, model: OLMo) -> Optimizer:
    """OLMo's AdamW over the weights of ``model``, fused: a tenth of a small model's step."""
    from olmo.config import OptimizerConfig, OptimizerType, TrainConfig
    from olmo.optim import build_optimizer

    config = OptimizerConfig(
        name=OptimizerType.adamw,
        learning_rate=settings.learning_rate,
        betas=settings.betas,
        eps=settings.eps,
        weight_decay=settings.weight_decay,
        decay_embeddings=settings.decay_embeddings,
    )
    optimizer = build_optimizer(TrainConfig(optimizer=config), model)
    for group in optimizer.param_groups:
        group["fused"] = True
    return optimizer
