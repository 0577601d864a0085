"""C-AdamW, cautious AdamW (Liang et al., 2025).

A coordinate of AdamW's update counts only where the first moment and the gradient agree in sign,
and what is left is divided by the share of such coordinates. No library has it as it is
published, with a share for each weight and unmasked decay.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from zsl.config.optimizers import CAdamW
from zsl.optimizers.moments import State, adam_moments

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from zsl.models.base import LanguageModel

SMALLEST_SHARE = 1e-3


def build(settings: CAdamW, model: LanguageModel) -> Optimizer:
    """C-AdamW over the weights of ``model``."""
    from zsl.optimizers.groups import weight_groups
    from zsl.optimizers.rule import RuleOptimizer

    update = partial(cautious_update, settings=settings)
    groups = [{**group, "update": update} for group in weight_groups(settings, model)]
    return RuleOptimizer(groups, settings)


def cautious_update(gradient: Tensor, state: State, settings: CAdamW) -> Tensor:
    """AdamW's update, masked and scaled; of the shape of the weight."""
    m, root = adam_moments(gradient, state, settings)
    mask = (m * gradient > 0).to(gradient.dtype)
    return m.div_(root).mul_(mask).div_(mask.mean().clamp_(min=SMALLEST_SHARE))
