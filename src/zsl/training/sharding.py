"""An optimizer whose state is shared out over the processes, where one GPU would be too small.

Each process keeps the state of some weights, makes their steps and hands the weights to the
others (ZeRO stage 1, Rajbhandari et al., 2020). A weight's update does not depend on where it
is made, and a checkpoint holds the whole state, so that both are the same without it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.optim import Optimizer

from zsl.training.parallel import Processes

SHARE = 0.5
"""Of the memory of a GPU: what weights, gradients and state may take before it is shared out."""
COPIES = 4
"""Numbers kept for each weight: itself, its gradient, two moments."""

State = dict[torch.Tensor, dict[str, torch.Tensor]]
"""Tensors that an optimizer keeps, by weight and name."""


def shared_out(optimizer: Optimizer) -> Optimizer:
    """``optimizer``, which has made no step yet, with its state shared out over all processes."""

    def of_mine(groups: list[dict[str, Any]], **_: Any) -> Optimizer:
        optimizer.param_groups = groups
        return optimizer

    groups = [{k: v for k, v in g.items() if k != "param_names"} for g in optimizer.param_groups]
    return ZeroRedundancyOptimizer(groups, of_mine, **optimizer.defaults)  # type: ignore[arg-type]


def is_needed(optimizer: Optimizer, group: Processes) -> bool:
    """Whether weights, gradients and state fill much of a GPU that others could relieve."""
    if group.world_size == 1 or group.device.type != "cuda":
        return False
    needed = COPIES * sum(weight.numel() * weight.element_size() for weight in weights(optimizer))
    return needed > SHARE * torch.cuda.get_device_properties(group.device).total_memory


def weights(optimizer: Optimizer) -> list[torch.Tensor]:
    """The weights of an optimizer in its own order."""
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def of_this_process(optimizer: Optimizer) -> Optimizer:
    """The optimizer of the weights whose state this process keeps: all, if it is not shared."""
    return optimizer.optim if isinstance(optimizer, ZeroRedundancyOptimizer) else optimizer


def gather(optimizer: Optimizer) -> None:
    """Bring the state of all weights to the first process; all processes have to call this."""
    if isinstance(optimizer, ZeroRedundancyOptimizer):
        optimizer.consolidate_state_dict(to=0)


def whole_state(optimizer: Optimizer) -> State:
    """The state of all weights; where it is shared out, as it was gathered at the first process."""
    if not isinstance(optimizer, ZeroRedundancyOptimizer):
        return dict(optimizer.state)
    state = optimizer.state_dict()["state"]
    return {weight: state[i] for i, weight in enumerate(weights(optimizer)) if i in state}
