"""AdEMAMix (Pagliardini et al., 2024): AdamW with a second, slow average of the gradients.

Written out, because the library that has it counts steps beside the tensors that a checkpoint
keeps: a resumed run would start its warm-ups and bias corrections again.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from zsl.config.optimizers import AdEMAMix
from zsl.optimizers.moments import State, adam_moments

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from zsl.models.base import LanguageModel


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
