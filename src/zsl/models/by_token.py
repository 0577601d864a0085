"""Sums over the gradients of single tokens, whoever makes those.

With g_i the gradient of the loss of prediction i by all weights (position p of a sequence
predicts p + 1), at fixed weights: over tokens for every weight, or over weights for tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from zsl.models.base import every_token


class Reduction(Protocol):
    """Takes absolute gradients; ``tokens`` are numbers of predictions in the order of the walk."""

    def outer(self, name: str, rows: slice, tokens: slice, y: Tensor, x: Tensor) -> None:
        """Of ``rows`` of a weight, y (x) x: y (tokens, rows), x (tokens, inputs)."""

    def tile(self, name: str, rows: slice, tokens: slice, gradients: Tensor) -> None:
        """Of ``rows`` of a weight, (tokens, rows, inputs), contiguous."""

    def scattered(self, name: str, rows: Tensor, tokens: slice, gradients: Tensor) -> None:
        """Of distinct ``rows`` of a weight, (rows, tokens, inputs)."""


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


@dataclass(frozen=True)
class Wanted:
    """Gradients that are wanted."""

    tokens: np.ndarray
    """Of these predictions, sorted pairs of sequence and position, (n, 2)."""
    reduction: Reduction
    chunk: int | None
    """Tokens that are taken together; None: what is an outer product is enough."""


@dataclass(frozen=True)
class OfSequence:
    """What is wanted of one sequence."""

    positions: Tensor
    """The positions i whose predictions are meant, ascending, (tokens,)."""
    chunks: list[tuple[slice, int]]
    """Tokens that are taken together, counted from 0, and how many positions they see. Tokens of
    no chunk give nothing but outer products."""
    first: int
    """What the reduction counts from."""
    reduction: Reduction


class GradientsByToken(ABC):
    """See :class:`zsl.models.base.ExactGradients`; sequence by sequence."""

    input: str
    """Name of the embedding of tokens."""
    output: str
    """Name of the unembedding, where it is a weight of its own."""

    @abstractmethod
    def _weights(self) -> dict[str, Tensor]:
        """The weights by name, of the shapes in which gradients go to a reduction."""

    @abstractmethod
    def _walk(
        self,
        weights: Mapping[str, Tensor],
        tokens: Tensor,
        wanted: Sequence[OfSequence],
        tile_bytes: int,
    ) -> None:
        """Give the gradients of one sequence ``tokens`` (positions + 1,) to the reductions.

        Where :attr:`output` is among the ``weights``, it is the unembedding, else the embedding is.
        """

    def absolute_sums(
        self,
        input_ids: Tensor,
        tokens: np.ndarray | None = None,
        *,
        chunk: int,
        tile_bytes: int,
        untied: bool = False,
    ) -> dict[str, Tensor]:
        """See ExactGradients."""
        weights = self._uses(untied)
        sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        reduction = AbsoluteSums(sums, weights[self.input].new_ones(chunk))
        chosen = every_token(input_ids) if tokens is None else tokens
        self._walk_all(weights, input_ids, [Wanted(chosen, reduction, chunk)], tile_bytes)
        return sums

    def token_sums(
        self,
        input_ids: Tensor,
        tokens: np.ndarray,
        update: Mapping[str, Tensor],
        *,
        chunk: int,
        tile_bytes: int,
        untied: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """See ExactGradients. What is cheap are the shares in s_i of the unembedding, as if its
        gradient were ``untied``, and of what is an outer product beside it. When ``untied``, the
        update of a tied embedding holds for both uses.
        """
        weights = self._uses(untied)
        sizes = {n: u.abs() for n, u in {self.output: update[self.input], **update}.items()}
        order, every = np.lexsort((tokens[:, 1], tokens[:, 0])), every_token(input_ids)
        of_tokens, of_all = (
            TokenSums(sizes, {name: _zeros(len(some), input_ids) for name in weights})
            for some in (tokens, every)
        )
        wanted = [Wanted(tokens[order], of_tokens, chunk), Wanted(every, of_all, None)]
        self._walk_all(weights, input_ids, wanted, tile_bytes)
        s = torch.stack(list(of_tokens.sums.values())).sum(0)
        unembedding = of_all.sums.pop(self.input) + of_all.sums.pop(self.output, 0)
        beside = torch.stack(list(of_all.sums.values())).sum(0)
        shares = torch.stack([unembedding, *([beside] if beside.any() else [])], dim=1)
        return s[torch.from_numpy(order.argsort()).to(s.device)], shares

    def _uses(self, untied: bool) -> dict[str, Tensor]:
        """Weights by name; when ``untied``, a tied embedding's output use is one more."""
        weights = self._weights()
        return {**({self.output: weights[self.input]} if untied else {}), **weights}

    @torch.no_grad()
    def _walk_all(
        self,
        weights: Mapping[str, Tensor],
        input_ids: Tensor,
        wanted: Sequence[Wanted],
        tile_bytes: int,
    ) -> None:
        """Give the gradients of each to its reduction, sequence by sequence."""
        for sequence in np.unique(np.concatenate([each.tokens[:, 0] for each in wanted])).tolist():
            of_sequence = []
            for each in wanted:
                ends = np.searchsorted(each.tokens[:, 0], [sequence, sequence + 1])
                first, last = ends.tolist()
                positions = each.tokens[first:last, 1]
                if len(positions):
                    of_sequence.append(
                        OfSequence(
                            positions=torch.from_numpy(positions).to(input_ids.device),
                            chunks=_chunks(positions, each.chunk) if each.chunk else [],
                            first=first,
                            reduction=each.reduction,
                        )
                    )
            self._walk(weights, input_ids[sequence], of_sequence, tile_bytes)


def _zeros(n: int, beside: Tensor) -> Tensor:
    return torch.zeros(n, dtype=torch.float64, device=beside.device)


def _chunks(positions: np.ndarray, size: int) -> list[tuple[slice, int]]:
    """At most ``size`` neighbours of ``positions`` each, and the positions that they see."""
    starts = range(0, len(positions), size)
    slices = [slice(start, min(start + size, len(positions))) for start in starts]
    return [(some, int(positions[some][-1]) + 1) for some in slices]
