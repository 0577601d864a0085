"""Floating-point operations of training and of measurements, from settings alone.

A product of matrices (m, k) and (k, n) counts 2mkn; everything else, the optimizer's update
included, is left out (Muon's orthogonalisation is some 2 % of a step of the paper's models).
N counts the weights that tokens are multiplied with: the blocks' and the unembedding, which is
a tied embedding, too; looking rows up costs nothing. A forward pass over S tokens takes

    S (2 N + 4 n_layers d_model S)

FLOPs, the second term for attention, counted without its causal half. Backward takes twice that,
so training takes 6 N + 12 n_layers d_model S a token. Of interventions, their further backward
passes and the products of the proxy count.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from zsl.config.parameters import n_parameters

if TYPE_CHECKING:
    from zsl.config.schema import Model, Run

FLOAT = 4
"""Bytes of a float32."""
BACKWARD = 2
"""Cost of a backward pass, in forward passes."""
FIRST_ORDER = 3
"""Cost of first-order changes: each product of two becomes three (product rule)."""


@dataclass(frozen=True)
class Flops:
    """Operations by the number format of the matrix products."""

    float32: float = 0.0
    bfloat16: float = 0.0

    def __add__(self, other: Flops) -> Flops:
        return Flops(self.float32 + other.float32, self.bfloat16 + other.bfloat16)

    def __mul__(self, times: float) -> Flops:
        return Flops(self.float32 * times, self.bfloat16 * times)

    @property
    def total(self) -> float:
        """In both formats."""
        return self.float32 + self.bfloat16


@dataclass(frozen=True)
class Sequences:
    """A model that reads sequences of one length."""

    model: Model
    rows: int
    """Rows of the embedding matrix."""
    length: int
    """Tokens per sequence."""

    @property
    def block_weights(self) -> int:
        """Weights of one block."""
        none = self.model.model_copy(update={"n_layers": 0})
        one = self.model.model_copy(update={"n_layers": 1})
        sizes = [n_parameters(model, self.rows, self.length) for model in (none, one)]
        return sizes[1] - sizes[0]

    @property
    def multiplied(self) -> int:
        """N, the weights that tokens are multiplied with."""
        return self.model.n_layers * self.block_weights + self.rows * self.model.d_model

    @property
    def forward(self) -> float:
        """FLOPs of a forward pass over one sequence."""
        S = self.length
        return S * (2 * self.multiplied + 4 * self.model.n_layers * self.model.d_model * S)

    @property
    def backward(self) -> float:
        """FLOPs of a backward pass over one sequence."""
        return BACKWARD * self.forward

    @property
    def proxy(self) -> float:
        """FLOPs of the proxy's own products beside forward and backward: one for each weight."""
        return 2 * self.multiplied * self.length

    def token_gradients(self, tokens: float, chunk: int) -> float:
        """FLOPs of the gradients of so many evenly spread tokens of a sequence, one at a time.

        A token's loss goes back through the positions s <= i that its chunk sees, by all blocks
        but the topmost: 4 FLOPs a weight and position, and 8 d_model for each pair of positions
        in attention. In the topmost block only keys and values see a prefix.
        """
        from zsl.config.blocks import (
            KEYS,
        )  # code of what measures: not loaded by all that has costs

        d, below = self.model.d_model, self.model.n_layers - 1
        top = tokens * (4 * self.block_weights + 6 * self.rows * d)
        dense = below * 4 * self.block_weights + 6 * d * d
        flops = self.forward + top
        for start in range(0, ceil(tokens), chunk):
            n = min(chunk, tokens - start)
            seen = self.length * (start + n) / tokens
            pairs = seen * (seen + min(seen, KEYS)) / 2
            flops += n * (seen * dense + pairs * 8 * d * below)
        return flops


def training_step(run: Run, rows: int) -> Flops:
    """One optimizer step of a run, without the update."""
    each = Sequences(run.model, rows, run.sequence_length)
    passes = each.forward + each.backward
    if run.intervention:
        passes = each.forward + run.intervention.backward_passes * each.backward
        passes += run.intervention.proxies * each.proxy
    flops = run.batch_size * passes
    return Flops(bfloat16=flops) if run.precision.compute == "bfloat16" else Flops(flops)
