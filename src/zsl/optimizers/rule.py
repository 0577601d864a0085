"""An optimizer of torch from an update rule: one function of a weight's gradient and state.

A step is w <- w - f lr (update + decay w): the schedule's rate lr times a factor f of the group,
with decoupled decay. All state is in tensors, by weight, as checkpoints keep it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from zsl.models.base import LanguageModel
from zsl.optimizers.base import Shared
from zsl.optimizers.moments import State

Update = Callable[[Tensor, State], Tensor]
"""From a weight's gradient and what is kept of it to its update, of the same shape."""
Group = dict[str, Any]
"""Weights that share a rule, as torch takes them; with ``update`` and, if not 1, ``factor``."""


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


def weight_groups(settings: Shared, model: LanguageModel) -> list[Group]:
    """The weights that decay and those that do not, as OLMo divides and orders them for AdamW.

    Matrices do, norms and biases do not; embeddings do if they are asked to.
    """
    decaying = {"linear", "embedding"} if settings.decay_embeddings else {"linear"}
    groups: list[Group] = []
    for decays in (True, False):
        some = {n: w for n, w in sorted(model.weights().items()) if (w.kind in decaying) == decays}
        if some:
            tensors = [weight.tensor for weight in some.values()]
            group = {"params": tensors, "param_names": [*some]}
            groups.append(group if decays else {**group, "weight_decay": 0.0})
    return groups
