"""AdEMAMix (Pagliardini et al., 2024): AdamW with a second, slow average of the gradients.

Written out, because the library that has it counts steps beside the tensors that a checkpoint
keeps: a resumed run would start its warm-ups and bias corrections again.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from zsl.optimizers.base import Shared
from zsl.optimizers.moments import State, adam_moments

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from zsl.models.base import LanguageModel


class AdEMAMix(Shared):
    """AdEMAMix (C.2)."""

    moments: ClassVar[int] = 3
    moments_of_matrices: ClassVar[int] = 3

    name: Literal["ademamix"]
    """AdEMAMix."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the fast average and of the second moment."""
    beta3: float = Field(default=0.9999, gt=0, lt=1)
    """Decay of the slow average."""
    alpha: float = Field(default=8.0, ge=0)
    """Weight of the slow average in the update."""
    t_alpha_beta3: int = Field(default=50_000, ge=1)
    """Steps of both warm-ups: alpha grows linearly from 0, and the half-life of the slow
    average linearly from that of the fast one."""

    @model_validator(mode="after")
    def _warm_up_has_a_start(self) -> AdEMAMix:
        if self.betas[0] <= 0:
            raise ValueError(
                f"betas.0 = {self.betas[0]}: the warm-up of beta3 starts there; choose above 0"
            )
        return self


def build(settings: AdEMAMix, model: LanguageModel) -> Optimizer:
    """AdEMAMix over the weights of ``model``."""
    from zsl.optimizers.groups import weight_groups
    from zsl.optimizers.rule import RuleOptimizer

    update = partial(mixed_update, settings=settings)
    groups = [{**group, "update": update} for group in weight_groups(settings, model)]
    return RuleOptimizer(groups, settings)


def mixed_update(gradient: Tensor, state: State, settings: AdEMAMix) -> Tensor:
    """(m1 / (1 - beta1^t) + alpha m2) / (sqrt(v / (1 - beta2^t)) + eps); m2 is not corrected."""
    m1, root = adam_moments(gradient, state, settings)
    if "exp_avg_slow" not in state:
        state["exp_avg_slow"] = gradient.new_zeros(gradient.shape)
    alpha, beta3 = warm_up(int(state["step"]), settings)
    m2 = state["exp_avg_slow"].lerp_(gradient, 1 - beta3)
    return m1.add_(m2, alpha=alpha).div_(root)


def warm_up(t: int, settings: AdEMAMix) -> tuple[float, float]:
    """alpha and beta3 at step t (the first step is 1).

    A half-life is proportional to 1 / ln(beta), so that 1 / ln(beta3) is what grows linearly.
    """
    done = min(t / settings.t_alpha_beta3, 1.0)
    first, last = math.log(settings.betas[0]), math.log(settings.beta3)
    beta3 = math.exp(1 / ((1 - done) / first + done / last))
    return done * settings.alpha, min(beta3, settings.beta3)
