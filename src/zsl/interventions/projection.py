"""Projection: where the gradients of two groups of tokens conflict, each gives up the conflict.

With the groups' parts g_a of the gradient, sum_a g_a = g, and in an order of b drawn for each a,

    g_a' <- g_a' - (g_a' . g_b) / |g_b|^2 g_b   wherever g_a' . g_b < 0,    g <- sum_a g_a'.

Groups are of about equally many predictions: by ``frequency`` of the predicted token in the batch
(a token is in one group as a whole), or by the rank of the ``loss`` within its sequence. *Assumed:*
that zero-sum learning is between such groups, and that the batch's frequencies are those of the
text. *Source:* PCGrad (Yu et al., *Gradient surgery for multi-task learning*, 2020), on the
whole gradient. It is written here, in some 15 lines: torchjd, which has it, draws its order from
torch's global generator, wants the Jacobian flattened into one more copy, and is one more package.

*Cost:* one forward and as many backward passes as groups: 5/3 of a step's FLOPs for two.
*Memory:* one more copy of the gradient a group, and one. Orders depend on ``seed`` and step only;
of two groups there is but one. Micro-batches and order of the batch change nothing beyond rounding
(ties of equal frequency go by token). bfloat16 works; not compiled, whose backward passes can be
made once only. One process: scalar products would have to be exchanged before they are used.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from zsl.config.interventions import Projection
from zsl.config.schema import Run
from zsl.models.base import LanguageModel
from zsl.training.parallel import Processes
from zsl.training.step import loss_denominator, token_losses, wide_logits


def build(
    settings: Projection, model: LanguageModel, optimizer: torch.optim.Optimizer
) -> ProjectedGroups:
    """Passes of a step that project conflicts away."""
    return ProjectedGroups(settings)


class ProjectedGroups:
    """Passes with a backward pass for each group; see Passes."""

    def __init__(self, settings: Projection) -> None:
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
        groups = self._settings.groups
        weights = [weight for weight in module.parameters() if weight.requires_grad]
        parts = [[torch.zeros_like(weight) for weight in weights] for _ in range(groups)]
        by_frequency = frequency_groups(input_ids, groups).split(size)
        losses = []
        for number, micro_batch in enumerate(input_ids.split(size)):
            logits = wide_logits(module, micro_batch, run)
            at_logits = logits.detach().requires_grad_()
            of_tokens = token_losses(at_logits, micro_batch)
            loss = of_tokens.sum() / loss_denominator(run)
            (gradient,) = torch.autograd.grad(loss, at_logits)
            if self._settings.by == "loss":
                members = loss_groups(of_tokens.detach(), groups)
            else:
                members = by_frequency[number]
            for which, part in enumerate(parts):
                for weight, kept in zip(weights, part, strict=True):
                    weight.grad = kept
                of_group = torch.zeros_like(gradient)
                of_group[:, :-1] = gradient[:, :-1] * (members == which)[..., None]
                logits.backward(of_group, retain_graph=which < groups - 1)
            losses.append(loss.detach())
        for weight, made in zip(weights, projected(parts, self._settings.seed, step), strict=True):
            weight.grad = made
        return torch.stack(losses).sum()


def projected(parts: list[list[Tensor]], seed: int, step: int) -> list[Tensor]:
    """The sum of the groups' gradients ``parts`` (groups, weights), each without its conflicts."""
    generator = np.random.default_rng([seed, step])
    squares = [_product(part, part) for part in parts]
    total = [torch.zeros_like(weight) for weight in parts[0]]
    for a, part in enumerate(parts):
        own = [weight.clone() for weight in part]
        for b in generator.permutation([b for b in range(len(parts)) if b != a]):
            product = _product(own, parts[b])
            if product < 0:
                for mine, theirs in zip(own, parts[b], strict=True):
                    mine.sub_(theirs, alpha=product / squares[b])
        for added, mine in zip(total, own, strict=True):
            added += mine
    return total


def _product(a: list[Tensor], b: list[Tensor]) -> float:
    """Scalar product of two gradients, added up in float64 over the weights."""
    return sum(float((x * y).sum()) for x, y in zip(a, b, strict=True))


def frequency_groups(input_ids: Tensor, groups: int) -> Tensor:
    """Group of each prediction of ``input_ids`` (sequences, positions), the most frequent tokens
    first; (sequences, positions - 1)."""
    targets = input_ids[:, 1:]
    counts = torch.bincount(targets.flatten())
    order = counts.argsort(descending=True, stable=True)
    before = counts[order].cumsum(0) - counts[order]
    of_token = torch.empty_like(counts)
    of_token[order] = before * groups // targets.numel()
    return of_token[targets].clamp_(max=groups - 1)


def loss_groups(losses: Tensor, groups: int) -> Tensor:
    """Group of each of ``losses`` (sequences, predictions) by its rank, the smallest first."""
    ranks = losses.argsort(dim=1, stable=True).argsort(dim=1, stable=True)
    return ranks * groups // losses.shape[1]
