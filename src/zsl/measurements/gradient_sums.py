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
    ones: Tensor
    """As many as tokens are taken together."""

    def outer(self, name: str, rows: slice, tokens: slice, y: Tensor, x: Tensor) -> None:
        """See Reduction."""
        self.sums[name][rows].addmm_(y.T, x)

    def tile(self, name: str, rows: slice, tokens: slice, gradients: Tensor) -> None:
        """See Reduction."""
        # A product with ones reads the tile at twice the speed of a sum over its first axis.
        ones = self.ones[: gradients.shape[0]]
        self.sums[name][rows].view(-1).addmv_(gradients.flatten(1).T, ones)

    def scattered(self, name: str, rows: Tensor, tokens: slice, gradients: Tensor) -> None:
        """See Reduction."""
        self.sums[name].index_add_(0, rows, gradients.sum(1))


@dataclass(frozen=True)
class TokenSums:
    """Adds gradients up over the coordinates j of a weight: sum_j abs(u_j g_ij)."""

    sizes: Mapping[str, Tensor]
    """abs(u) by weight."""
    sums: dict[str, Tensor]
    """By weight, (tokens,) float64 in the order of the walk."""

    def outer(self, name: str, rows: slice, tokens: slice, y: Tensor, x: Tensor) -> None:
        """See Reduction."""
        self.sums[name][tokens] += (y @ self.sizes[name][rows] * x).sum(1, dtype=torch.float64)

    def tile(self, name: str, rows: slice, tokens: slice, gradients: Tensor) -> None:
        """See Reduction."""
        size = self.sizes[name][rows].reshape(-1)
        self.sums[name][tokens] += gradients.flatten(1) @ size

    def scattered(self, name: str, rows: Tensor, tokens: slice, gradients: Tensor) -> None:
        """See Reduction."""
        weighted = gradients * self.sizes[name][rows].unsqueeze(1)
        self.sums[name][tokens] += weighted.sum((0, 2), dtype=torch.float64)


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
    weights = _weights(model, untied)
    sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    reduction = AbsoluteSums(sums, weights[INPUT].new_ones(chunk))
    chosen = every_token(input_ids) if tokens is None else tokens
    _walk(model, weights, input_ids, chosen, reduction, chunk, tile_bytes)
    return sums


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
    sums = _sums_by_weight(model, input_ids, tokens, update, chunk, tile_bytes, untied)
    return torch.stack(list(sums.values())).sum(0)


def outer_shares(
    model: OLMo, input_ids: Tensor, update: Mapping[str, Tensor], *, untied: bool = False
) -> Tensor:
    """What is cheap of s_i for all predictions of ``input_ids``, (predictions, 2) float64.

    The shares of the unembedding, as if the embedding were ``untied``, and of what the topmost
    block has of outer products. Otherwise as :func:`token_sums`.
    """
    tokens = every_token(input_ids)
    sums = _sums_by_weight(model, input_ids, tokens, update, None, 0, untied)
    unembedding = sums.pop(INPUT) + sums.pop(OUTPUT, 0)
    return torch.stack([unembedding, torch.stack(list(sums.values())).sum(0)], dim=1)


def _sums_by_weight(
    model: OLMo,
    input_ids: Tensor,
    tokens: np.ndarray,
    update: Mapping[str, Tensor],
    chunk: int | None,
    tile_bytes: int,
    untied: bool,
) -> dict[str, Tensor]:
    """Shares of the weights in s_i, each (n,) float64."""
    weights = _weights(model, untied)
    sizes = {name: u.abs() for name, u in {OUTPUT: update[INPUT], **update}.items()}
    order = np.lexsort((tokens[:, 1], tokens[:, 0]))
    zeros = torch.zeros(len(tokens), dtype=torch.float64, device=input_ids.device)
    reduction = TokenSums(sizes, {name: zeros.clone() for name in weights})
    _walk(model, weights, input_ids, tokens[order], reduction, chunk, tile_bytes)
    back = torch.from_numpy(order.argsort()).to(input_ids.device)
    return {name: sums[back] for name, sums in reduction.sums.items()}


def _weights(model: OLMo, untied: bool) -> dict[str, Tensor]:
    """Weights by name; when ``untied``, a tied embedding's output use is one more."""
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    return {**({OUTPUT: weights[INPUT]} if untied else {}), **weights}


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
    chunk: int | None,
    tile_bytes: int,
) -> None:
    """Give the gradients of ``tokens`` (n, 2), sorted, to the reduction; when ``chunk`` is None,
    those that are outer products."""
    check_architecture(model)
    for sequence in np.unique(tokens[:, 0]).tolist():
        first, last = np.searchsorted(tokens[:, 0], [sequence, sequence + 1]).tolist()
        positions = tokens[first:last, 1]
        Walk(
            weights=weights,
            saved=save_forward(model, input_ids[sequence]),
            positions=torch.from_numpy(positions).to(input_ids.device),
            chunks=_chunks(positions, chunk) if chunk else [],
            first=first,
            reduction=reduction,
            tile_bytes=tile_bytes,
            tied=OUTPUT not in weights,
        ).run()


def _chunks(positions: np.ndarray, size: int) -> list[tuple[slice, int]]:
    """At most ``size`` neighbours of ``positions`` each, and the positions that they see."""
    starts = range(0, len(positions), size)
    slices = [slice(start, min(start + size, len(positions))) for start in starts]
    return [(some, int(positions[some][-1]) + 1) for some in slices]
