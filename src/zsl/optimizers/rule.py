"""An optimizer of torch from an update rule: one function of a weight's gradient and state.

A step is w <- w - f lr (update + decay w): the schedule's rate lr times a factor f of the group,
with decoupled decay. All state is in tensors, by weight, as checkpoints keep it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zsl.config.optimizers import Shared
from zsl.optimizers.groups import Group
from zsl.optimizers.moments import State

Update = Callable[[Tensor, State], Tensor]
"""From a weight's gradient and what is kept of it to its update, of the same shape."""


class RuleOptimizer(torch.optim.Optimizer):
    """Makes the steps of the groups' rules."""

    def __init__(self, groups: list[Group], settings: Shared) -> None:
        defaults = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
        super().__init__(groups, {**defaults, "factor": 1.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change all weights that have a gradient."""
        for group in self.param_groups:
            rate = group["lr"] * group["factor"]
            for weight in group["params"]:
                if weight.grad is not None:
                    update = group["update"](weight.grad, self.state[weight])
                    weight.mul_(1 - rate * group["weight_decay"]).add_(update, alpha=-rate)
