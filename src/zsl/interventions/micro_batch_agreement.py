"""Micro-batch agreement: coordinates on which parts of the batch disagree in sign are dropped.

With the gradients g_m of M equal parts of the batch, of consecutive sequences,

    g_j <- g_j if |1/M sum_m sign(g_mj)| >= threshold, else 0.

Nothing is scaled up for what is dropped. *Assumed:* that the mean of a part is what the tokens of
it have in common; with few parts many coordinates agree by chance (2^(1-M) of them all M parts of
pure noise). *Source:* the AND-mask of Parascandolo et al., *Learning explanations that are hard to
vary* (2021), with parts of the batch for environments.

*Cost:* no FLOPs but a few additions a weight and part; passes are no larger than a part.
*Memory:* two more numbers a weight. The parts are those of the rule: how many sequences memory
holds at once changes nothing beyond rounding, the order of the batch does. bfloat16 and compiled
models work. One process: parts would have to be the processes'.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zsl.config.interventions import MicroBatchAgreement
from zsl.config.schema import Run
from zsl.models.base import LanguageModel
from zsl.training.parallel import Processes
from zsl.training.step import backward


def build(
    settings: MicroBatchAgreement, model: LanguageModel, optimizer: torch.optim.Optimizer
) -> AgreeingParts:
    """Passes of a step that keep the coordinates on which parts agree."""
    return AgreeingParts(settings)


class AgreeingParts:
    """Passes over parts of the batch; see Passes."""

    def __init__(self, settings: MicroBatchAgreement) -> None:
        self._settings = settings

    def __call__(
        self,
        module: nn.Module,
        input_ids: Tensor,
        run: Run,
        group: Processes,
        size: int,
        *,
        step: int,
    ) -> Tensor:
        """See Passes."""
        weights = [weight for weight in module.parameters() if weight.requires_grad]
        totals = [torch.zeros_like(weight) for weight in weights]
        signs = [torch.zeros_like(weight) for weight in weights]
        losses = []
        for part in input_ids.chunk(self._settings.micro_batches):
            losses.append(backward(module, part, run, group, min(size, len(part))))
            for weight, total, sign in zip(weights, totals, signs, strict=True):
                if weight.grad is not None:
                    total += weight.grad
                    sign += weight.grad.sign()
        least = self._settings.threshold * self._settings.micro_batches
        for weight, total, sign in zip(weights, totals, signs, strict=True):
            weight.grad = total.masked_fill_(sign.abs_() < least, 0.0)
        return torch.stack(losses).sum()
