"""Adam's moments, as those optimizers read them that change what is made of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from zsl.config.optimizers import Shared

State = dict[str, Any]
"""Tensors that an optimizer keeps of one weight, by name; empty before the first step."""


def adam_moments(gradient: Tensor, state: State, settings: Shared) -> tuple[Tensor, Tensor]:
    """Take in ``gradient``, and return m / (1 - beta1^t) and sqrt(v / (1 - beta2^t)) + eps.

    Their quotient is the update of AdamW. All have the shape of the weight; the state keeps t
    (``step``), m (``exp_avg``) and v (``exp_avg_sq``), named as in torch.
    """
    beta1, beta2 = settings.betas
    if "step" not in state:
        state["step"] = gradient.new_zeros((), device="cpu").float()
        state["exp_avg"] = gradient.new_zeros(gradient.shape)
        state["exp_avg_sq"] = gradient.new_zeros(gradient.shape)
    state["step"] += 1
    t, m, v = int(state["step"]), state["exp_avg"], state["exp_avg_sq"]
    m.lerp_(gradient, 1 - beta1)
    v.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    root = v.sqrt().div_(math.sqrt(1 - beta2**t)).add_(settings.eps)
    return m / (1 - beta1**t), root


def adam_update(gradient: Tensor, state: State, settings: Shared) -> Tensor:
    """The update of AdamW without its decay, of the shape of the weight."""
    m, root = adam_moments(gradient, state, settings)
    return m.div_(root)
