"""Muon (Jordan et al., 2024): momentum whose matrices are made orthogonal; AdamW for the rest.

Written out: what torch and other libraries have makes a fused projection of queries, keys and
values orthogonal as one matrix, scales otherwise, and computes in bfloat16.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from zsl.config.optimizers import Muon
from zsl.optimizers.moments import State, adam_update

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from zsl.models.base import LanguageModel

ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the odd quintic that is iterated, by Jordan et al.: steep at 0, so that five iterations
bring all but the smallest singular values near 1, not to it."""
SMALLEST_NORM = 1e-7


def build(settings: Muon, model: LanguageModel) -> Optimizer:
    """Muon over the weights of ``model``, AdamW included."""
    from zsl.optimizers.rule import RuleOptimizer

    return RuleOptimizer(list(_groups(settings, model)), settings)


def _groups(settings: Muon, model: LanguageModel) -> Iterator[dict[str, Any]]:
    from zsl.optimizers.groups import weight_groups

    weights = model.weights().items()
    matrices = {n: w for n, w in weights if w.kind == "linear" and not w.vocabulary}
    for parts in sorted({weight.parts for weight in matrices.values()}):
        names = [name for name, weight in matrices.items() if weight.parts == parts]
        yield {
            "params": [matrices[name].tensor for name in names],
            "param_names": names,
            "update": partial(orthogonal_update, settings=settings, parts=parts),
            "factor": settings.muon_rate,
            "weight_decay": settings.weight_decay if settings.decay_matrices else 0.0,
        }
    for group in weight_groups(settings, model):
        pairs = zip(group["param_names"], group["params"], strict=True)
        rest = {name: weight for name, weight in pairs if name not in matrices}
        if rest:
            shared = {"update": partial(adam_update, settings=settings)}
            yield {**group, "params": [*rest.values()], "param_names": [*rest], **shared}


def orthogonal_update(gradient: Tensor, state: State, settings: Muon, parts: int) -> Tensor:
    """The update of a weight (rows, columns) that stacks ``parts`` matrices of equal height.

    Each is made orthogonal by itself and multiplied by sqrt(max(height, columns)), which makes
    the mean square of a square matrix's coordinates 1.
    """
    if "momentum_buffer" not in state:
        state["momentum_buffer"] = gradient.new_zeros(gradient.shape)
    buffer = state["momentum_buffer"].mul_(settings.momentum).add_(gradient)
    ahead = gradient.add(buffer, alpha=settings.momentum).unflatten(0, (parts, -1))
    x = ahead.bfloat16() if settings.newton_schulz == "bfloat16" else ahead
    scale = max(x.shape[-2:]) ** 0.5
    return orthogonalised(x).to(gradient.dtype).mul(scale).flatten(0, 1)


def orthogonalised(x: Tensor) -> Tensor:
    """Nearly U V^T of each matrix U S V^T in ``x`` (..., rows, columns), by Newton-Schulz."""
    if x.shape[-2] > x.shape[-1]:
        return orthogonalised(x.mT).mT
    a, b, c = COEFFICIENTS
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + SMALLEST_NORM)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x
