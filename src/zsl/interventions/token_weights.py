"""Token weights: what is minimised is sum_i w_i l_i in place of the sum of token losses l_i.

Three weights, which multiply; each is 1 by default, and then nothing changes to the last bit:

``clip``
    w_i = min(1, clip / ||softmax - onehot||), so that no token's gradient at its logits has a norm
    above ``clip``; the norm is sqrt(sum p^2 + 1 - 2 p_i), below sqrt(2). Held constant in the
    backward pass. *Source:* per-example clipping as in DP-SGD (Abadi et al., 2016), at the logits
    instead of the weights.
``focal``
    (1 - p_i)^focal l_i with p_i = exp(-l_i), differentiated as a whole. *Source:* Lin et al.,
    *Focal loss* (2017), without its balance alpha.
``top``
    w_i the same for the share ``top`` of each sequence's predictions with the largest losses, 0
    for the others, and 1 on average. *Source:* Ordered SGD (Kawaguchi and Lu, 2020), by sequence
    instead of batch, so that neither micro-batches nor processes change it.

*Assumed:* that tokens of large loss, or large gradients, are those at whose cost others improve.
The sum is divided by the same number of tokens as ever; the loss that is logged is the plain one.
*Cost:* no products of matrices; ``clip`` reads the logits twice more. *Memory:* with ``clip``,
one more array of the size of the logits for a moment. Any number of processes, bfloat16 and
compiled models; micro-batches and order change nothing beyond rounding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zsl.config.interventions import TokenWeights
from zsl.config.schema import Run
from zsl.models.base import LanguageModel
from zsl.training.parallel import Processes
from zsl.training.step import backward


def build(
    settings: TokenWeights, model: LanguageModel, optimizer: torch.optim.Optimizer
) -> WeighedTokens:
    """Passes of a step that minimise weighed losses."""
    return WeighedTokens(settings)


class WeighedTokens:
    """Passes whose tokens have weights; see Passes."""

    def __init__(self, settings: TokenWeights) -> None:
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
        return backward(module, input_ids, run, group, size, minimised=self.weighed)

    def weighed(self, losses: Tensor, logits: Tensor) -> Tensor:
        """The losses (sequences, predictions) with their weights, and gradients through focal."""
        settings = self._settings
        weights = torch.ones_like(losses)
        with torch.no_grad():
            if settings.clip < math.inf:
                weights *= (settings.clip / norms(losses, logits[:, :-1])).clamp_(max=1)
            if settings.top < 1:
                weights *= top(losses, settings.top)
        if settings.focal:
            weights = weights * focal(losses, settings.focal)
        return weights * losses


def norms(losses: Tensor, logits: Tensor) -> Tensor:
    """Norms of the gradients of ``losses`` (sequences, predictions) at their logits."""
    squares = torch.exp(torch.logsumexp(2 * logits, -1) - 2 * torch.logsumexp(logits, -1))
    return (squares + 1 - 2 * torch.exp(-losses)).clamp_(min=0).sqrt_()


def focal(losses: Tensor, power: float) -> Tensor:
    """(1 - p)^power, differentiable, also where p is 1 to the last bit."""
    return (-torch.expm1(-losses)).clamp(min=torch.finfo(losses.dtype).tiny).pow(power)


def top(losses: Tensor, share: float) -> Tensor:
    """Weights of mean 1 of the largest losses of each sequence, 0 of the others."""
    number = losses.shape[1]
    kept = math.ceil(share * number)
    at = losses.topk(kept, dim=1).indices
    return torch.zeros_like(losses).scatter_(1, at, number / kept)
