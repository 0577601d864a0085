"""Sums of absolute per-token gradients: over tokens for every weight, or over weights for tokens.

With g_i the gradient of the loss of prediction i by all weights (position p of a sequence
predicts p + 1), at fixed weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from olmo.model import OLMo
from torch import Tensor

from zsl.measurements.prefix_backward import INPUT, OUTPUT, Reduction, Walk
from zsl.measurements.saved_forward import check_architecture, save_forward


@dataclass(frozen=True)
class AbsoluteSums:
    """Adds gradients up over tokens: sum_i abs(g_i), by weight and of its shape."""

    sums: dict[str, Tensor]

    def outer(self, name: str, rows: slice, tokens: slice, y: Tensor, x: Tensor) -> None:
        """See Reduction."""
        self.sums[name][rows].addmm_(y.T, x)

    def tile(self, name: str, rows: slice, tokens: slice, gradients: Tensor) -> None:
        """See Reduction."""
        flat = gradients.view(len(gradients), -1)
        # A product with ones reads the tile at twice the speed of a sum over its first axis.
        self.sums[name][rows].view(-1).addmv_(flat.T, flat.new_ones(len(flat)))

    def scattered(self, name: str, rows: Tensor, tokens: slice, gradients: Tensor) -> None:
        """See Reduction."""
        self.sums[name].index_add_(0, rows, gradients.sum(1))


@dataclass(frozen=True)
class TokenSums:
    """Adds gradients up over weights: s_i = sum_j abs(u_j g_ij), in the order of the walk."""

    sizes: Mapping[str, Tensor]
    """abs(u) by weight."""
    sums: Tensor
    """(tokens,) float64."""

    def outer(self, name: str, rows: slice, tokens: slice, y: Tensor, x: Tensor) -> None:
        """See Reduction."""
        self.sums[tokens] += (y @ self.sizes[name][rows] * x).sum(1, dtype=torch.float64)

    def tile(self, name: str, rows: slice, tokens: slice, gradients: Tensor) -> None:
        """See Reduction."""
        size = self.sizes[name][rows].reshape(-1)
        self.sums[tokens] += gradients.view(len(gradients), -1) @ size

    def scattered(self, name: str, rows: Tensor, tokens: slice, gradients: Tensor) -> None:
        """See Reduction."""
        weighted = gradients * self.sizes[name][rows].unsqueeze(1)
        self.sums[tokens] += weighted.sum((0, 2), dtype=torch.float64)


def absolute_sums(
    model: OLMo,
    input_ids: Tensor,
    tokens: np.ndarray | None = None,
    *,
    chunk: int,
    tile_bytes: int,
    untied: bool = False,
) -> dict[str, Tensor]:
    """sum_i abs(g_i) by weight, over all predictions of ``input_ids`` (sequences, positions).

    ``tokens`` (n, 2) restricts the sum to these pairs of sequence and position. ``chunk`` tokens
    are taken together, and at most ``tile_bytes`` of their gradients held at once (or one row of
    a weight); neither changes the result beyond rounding. The uses of a tied embedding add up
    before the absolute value, unless ``untied``: then the output use is the weight
    ``transformer.ff_out.weight``. Raises MeasurementError for other architectures.
    """
    check_architecture(model)
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    if untied:
        weights.setdefault(OUTPUT, weights[INPUT])
    reduction = AbsoluteSums({name: torch.zeros_like(weight) for name, weight in weights.items()})
    chosen = every_token(input_ids) if tokens is None else tokens
    _walk(model, weights, input_ids, chosen, reduction, chunk, tile_bytes)
    return reduction.sums


def token_sums(
    model: OLMo,
    input_ids: Tensor,
    tokens: np.ndarray,
    update: Mapping[str, Tensor],
    *,
    chunk: int,
    tile_bytes: int,
    untied: bool = False,
) -> Tensor:
    """s_i = sum_j abs(u_j g_ij) of ``tokens`` (n, 2), pairs of sequence and position.

    ``update`` is u by weight. Returns (n,) float64, in nats. Otherwise as
    :func:`absolute_sums`; when ``untied``, the update of a tied embedding holds for both uses.
    """
    check_architecture(model)
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    sizes = {name: update[name].abs() for name in weights}
    if untied:
        weights.setdefault(OUTPUT, weights[INPUT])
        sizes.setdefault(OUTPUT, sizes[INPUT])
    order = np.lexsort((tokens[:, 1], tokens[:, 0]))
    sums = torch.zeros(len(tokens), dtype=torch.float64, device=input_ids.device)
    reduction = TokenSums(sizes, sums)
    _walk(model, weights, input_ids, tokens[order], reduction, chunk, tile_bytes)
    return sums[torch.from_numpy(order.argsort()).to(sums.device)]


def every_token(input_ids: Tensor) -> np.ndarray:
    """All predictions of ``input_ids`` (sequences, positions), (n, 2)."""
    sequences, positions = input_ids.shape
    return np.argwhere(np.ones((sequences, positions - 1), dtype=bool))


@torch.no_grad()
def _walk(
    model: OLMo,
    weights: Mapping[str, Tensor],
    input_ids: Tensor,
    tokens: np.ndarray,
    reduction: Reduction,
    chunk: int,
    tile_bytes: int,
) -> None:
    """Give the gradients of ``tokens`` (n, 2), sorted, to the reduction."""
    for sequence in np.unique(tokens[:, 0]).tolist():
        first, last = np.searchsorted(tokens[:, 0], [sequence, sequence + 1]).tolist()
        positions = tokens[first:last, 1]
        Walk(
            weights=weights,
            saved=save_forward(model, input_ids[sequence]),
            positions=torch.from_numpy(positions).to(input_ids.device),
            chunks=[
                (slice(start, start + len(some)), int(some[-1]) + 1)
                for start in range(0, len(positions), chunk)
                for some in [positions[start : start + chunk]]
            ],
            first=first,
            reduction=reduction,
            tile_bytes=tile_bytes,
            tied=OUTPUT not in weights,
        ).run()
