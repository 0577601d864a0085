"""Gradients of single tokens' losses, many tokens and one weight at a time.

The loss of the token that position i predicts reaches positions s <= i only, and enters the
residual stream at s = i. Tokens are taken in chunks; a chunk is carried back through the blocks
by hand, on the prefix that its last token sees and with the gradients of its tokens side by
side: dL/dx is (positions, tokens, width). One matrix product, cut into tiles that stay in the
cache, then gives of a weight of y = W x the gradients

    g_i = sum over s of dL_i/dy_s (x) x_s                           (tokens, outputs, inputs)

whose absolute values go to a :class:`Reduction` and are forgotten. In the topmost block the sum
has one term, s = i, for all weights but those of keys and values: g_i is an outer product and
never made. So it is for values, head by head, with the x_s averaged by attention.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from zsl.models.by_token import Reduction
from zsl.models.olmo.attention_backward import Rotation, attention_backward, unrotate
from zsl.models.olmo.saved_forward import BlockForward, SavedForward

INPUT = "transformer.wte.weight"
PLACES = "transformer.wpe.weight"
OUTPUT = "transformer.ff_out.weight"
LOGIT_BYTES = 16 * 2**20
"""Logits held at once, unless those of one token are more."""


@dataclass(frozen=True)
class Seeds:
    """Gradients of tokens' losses at the input of the topmost block's attention, at s = i."""

    dx: Tensor
    """By what the attention is added to, (tokens, width)."""
    dq: Tensor
    """By the query, (tokens, width)."""
    dscores: Tensor
    """By the query's scores, (heads, tokens, positions)."""
    dattention: Tensor
    """By the output of the attention, (heads, tokens, head width)."""


@dataclass(frozen=True)
class Walk:
    """The way back from the losses of some of one sequence's tokens to all weights."""

    weights: Mapping[str, Tensor]
    """Weights by OLMo's name."""
    saved: SavedForward
    positions: Tensor
    """The positions i whose predictions are meant, ascending, (tokens,)."""
    chunks: list[tuple[slice, int]]
    """Tokens that are taken together, counted from 0, and how many positions they see. Tokens of
    no chunk give nothing but outer products."""
    first: int
    """What the reduction counts from."""
    reduction: Reduction
    tile_bytes: int
    tied: bool
    """Whether input and output use of the embedding are one matrix."""

    def run(self) -> None:
        """Give the gradients of every weight to the reduction."""
        dh, errors = self._head()
        seeds = self._top(dh)
        *below, top = self.saved.blocks
        for chunk, prefix in self.chunks:
            dx = self._leave_top(top, seeds, chunk, prefix)
            for block in reversed(below):
                dx = self._mlp(block, dx, chunk)
                dx = self._attention(block, dx, chunk)
            self._embeddings(dx, errors[chunk], chunk)

    @cached_property
    def _vocabulary(self) -> tuple[Tensor, Tensor, list[int]]:
        """The sequence's distinct input tokens by first occurrence, (distinct,); which of them
        each position reads, (positions,); how many there are up to each position."""
        ids = self.saved.ids.tolist()
        order = {token: place for place, token in enumerate(dict.fromkeys(ids))}
        places = torch.tensor([order[token] for token in ids])
        counts = (places.cummax(0).values + 1).tolist()
        distinct = torch.tensor(list(order))
        return distinct.to(self.saved.ids.device), places.to(self.saved.ids.device), counts

    def _head(self) -> tuple[Tensor, Tensor]:
        """dL/dh at each token, (tokens, width), and its errors for the sequence's distinct
        tokens, (tokens, distinct).

        The error e = softmax(logits) - onehot(target) is the gradient by the logits. When
        ``tied``, rows of input tokens that a chunk reads wait for what their input use adds.
        """
        W = self.weights[OUTPUT if OUTPUT in self.weights else INPUT]
        h, targets = self.saved.final.y[self.positions], self.saved.targets[self.positions]
        distinct, _, counts = self._vocabulary
        read = torch.zeros(len(h), len(distinct), dtype=torch.bool, device=h.device)
        for chunk, prefix in self.chunks:
            read[chunk, : counts[prefix - 1]] = True
        dh, errors = torch.empty_like(h), h.new_empty(read.shape)
        step = max(1, LOGIT_BYTES // (len(W) * W.element_size()))
        for start in range(0, len(h), step):
            some = slice(start, min(start + step, len(h)))
            e = h[some] @ W.T
            e.sub_(e.amax(-1, keepdim=True)).exp_()
            e.div_(e.sum(-1, keepdim=True))
            e[torch.arange(len(e), device=e.device), targets[some]] -= 1
            dh[some] = e @ W
            errors[some] = e[:, distinct]
            if self.tied:
                e[:, distinct] = errors[some].masked_fill(read[some], 0)
            name, numbers = INPUT if self.tied else OUTPUT, self._numbers(some)
            self.reduction.outer(name, slice(0, len(W)), numbers, e.abs_(), h[some].abs())
        return dh, errors

    def _top(self, dh: Tensor) -> Seeds:
        """Through the final norm and the topmost block while a token's gradient is at s = i."""
        block, at = self.saved.blocks[-1], self.positions
        dx = self.saved.final.backward(dh, at)
        self._outer(f"{block.name}.ff_out.weight", dx, block.act[at])
        dact = dx @ self.weights[f"{block.name}.ff_out.weight"]
        dff = (dact.unsqueeze(1) * block.slope[at]).flatten(1)
        self._outer(f"{block.name}.ff_proj.weight", dff, block.ff_norm.y[at])
        dnorm = dff @ self.weights[f"{block.name}.ff_proj.weight"]
        dx = dx + block.ff_norm.backward(dnorm, at)
        self._outer(f"{block.name}.attn_out.weight", dx, block.attention[at])
        dattention = dx @ self.weights[f"{block.name}.attn_out.weight"]
        return self._top_attention(block, dx, dattention)

    def _top_attention(self, block: BlockForward, dx: Tensor, dattention: Tensor) -> Seeds:
        at, name = self.positions, f"{block.name}.att_proj.weight"
        heads, _, head_width = block.q.shape
        output, do = (
            x.unflatten(-1, (heads, head_width)).transpose(0, 1)
            for x in (block.attention[at], dattention)
        )
        A = block.probabilities[:, at]
        dscores = (do @ block.v.mT - (do * output).sum(-1, keepdim=True)) * A
        dq = unrotate(dscores @ block.k, self._rotation(at)).transpose(0, 1).flatten(1)
        width = dq.shape[1]
        self._outer(name, dq, block.attn_norm.y[at], rows=slice(0, width))
        averaged = A @ block.attn_norm.y
        for head in range(heads):
            start = 2 * width + head * head_width
            rows = slice(start, start + head_width)
            self._outer(name, do[head], averaged[head], rows=rows)
        return Seeds(dx, dq, dscores, do)

    def _leave_top(self, block: BlockForward, seeds: Seeds, chunk: slice, prefix: int) -> Tensor:
        """dL/dx at the input of the topmost block, (prefix, tokens, width)."""
        at, name = self.positions[chunk], f"{block.name}.att_proj.weight"
        W = self.weights[name]
        rotation = self._rotation(slice(0, prefix))
        # (heads, tokens, positions, head width), then (positions, tokens, width).
        dk = seeds.dscores[:, chunk, :prefix].unsqueeze(-1) * block.q[:, at].unsqueeze(2)
        A = block.probabilities[:, at, :prefix].unsqueeze(-1)
        dv = A * seeds.dattention[:, chunk].unsqueeze(2)
        dk, dv = (x.permute(2, 1, 0, 3).flatten(2) for x in (unrotate(dk, rotation), dv))
        width = dk.shape[-1]
        self._dense(name, dk, block.attn_norm.y, chunk, rows=slice(width, 2 * width))
        dnorm = dk @ W[width : 2 * width] + dv @ W[2 * width :]
        here = (at, torch.arange(len(at), device=at.device))
        dnorm[here] += seeds.dq[chunk] @ W[:width]
        dx = block.attn_norm.backward(dnorm, slice(0, prefix))
        dx[here] += seeds.dx[chunk]
        return dx

    def _mlp(self, block: BlockForward, dx: Tensor, chunk: slice) -> Tensor:
        """From dL/dx behind a block's MLP, (positions, tokens, width), to before it."""
        prefix = slice(0, dx.shape[0])
        self._dense(f"{block.name}.ff_out.weight", dx, block.act, chunk)
        dact = dx @ self.weights[f"{block.name}.ff_out.weight"]
        dff = (dact.unsqueeze(2) * block.slope[prefix].unsqueeze(1)).flatten(2)
        self._dense(f"{block.name}.ff_proj.weight", dff, block.ff_norm.y, chunk)
        dnorm = dff @ self.weights[f"{block.name}.ff_proj.weight"]
        return dx + block.ff_norm.backward(dnorm, prefix)

    def _attention(self, block: BlockForward, dx: Tensor, chunk: slice) -> Tensor:
        """From dL/dx behind a block's attention, (positions, tokens, width), to before it."""
        prefix = slice(0, dx.shape[0])
        self._dense(f"{block.name}.attn_out.weight", dx, block.attention, chunk)
        doutput = dx @ self.weights[f"{block.name}.attn_out.weight"]
        dqkv = attention_backward(block, doutput, self._rotation(prefix))
        self._dense(f"{block.name}.att_proj.weight", dqkv, block.attn_norm.y, chunk)
        dnorm = dqkv @ self.weights[f"{block.name}.att_proj.weight"]
        return dx + block.attn_norm.backward(dnorm, prefix)

    def _embeddings(self, dx: Tensor, errors: Tensor, chunk: slice) -> None:
        """dL/dx at the blocks' input goes to the rows of the tokens and places that were read."""
        tokens, prefix = self._numbers(chunk), dx.shape[0]
        distinct, places, counts = self._vocabulary
        n_read = counts[prefix - 1]
        rows = dx.new_zeros(n_read, *dx.shape[1:]).index_add_(0, places[:prefix], dx)
        if self.tied:
            h = self.saved.final.y[self.positions[chunk]]
            rows.addcmul_(errors[:, :n_read].T.unsqueeze(-1), h)
        self.reduction.scattered(INPUT, distinct[:n_read], tokens, rows.abs_())
        if PLACES in self.weights:
            every = torch.arange(prefix, device=dx.device)
            self.reduction.scattered(PLACES, every, tokens, dx.abs())

    def _outer(self, name: str, y: Tensor, x: Tensor, *, rows: slice | None = None) -> None:
        """Gradients of all tokens that are outer products of y and x, (tokens, .)."""
        rows = rows or slice(0, y.shape[1])
        self.reduction.outer(name, rows, self._numbers(slice(0, len(y))), y.abs(), x.abs())

    def _dense(
        self, name: str, dy: Tensor, x: Tensor, chunk: slice, *, rows: slice | None = None
    ) -> None:
        """Gradients from dy (positions, tokens, outputs) and x (>= positions, inputs) in tiles."""
        positions, tokens, outputs = dy.shape
        x, left, first = x[:positions], dy.view(positions, -1).T, self._numbers(chunk).start
        offset = rows.start if rows else 0
        per_tile = max(1, self.tile_bytes // (x.shape[1] * x.element_size()))
        n_rows, n_tokens = min(per_tile, outputs), max(1, per_tile // outputs)
        for token in range(0, tokens, n_tokens):
            last = min(token + n_tokens, tokens)
            for row in range(0, outputs, n_rows):
                size = min(n_rows, outputs - row)
                start = token * outputs + row
                tile = left[start : start + (last - token - 1) * outputs + size] @ x
                self.reduction.tile(
                    name,
                    slice(offset + row, offset + row + size),
                    slice(first + token, first + last),
                    tile.view(last - token, size, -1).abs_(),
                )

    def _numbers(self, tokens: slice) -> slice:
        return slice(self.first + tokens.start, self.first + tokens.stop)

    def _rotation(self, at: slice | Tensor) -> Rotation:
        rotation = self.saved.rotation
        return None if rotation is None else (rotation[0][at], rotation[1][at])
