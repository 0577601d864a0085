"""Backward through causal attention for many tokens' losses at once.

Gradients are (positions, tokens, ...): each token's loss has its own gradient at each position,
while queries, keys, values and probabilities are the same for all of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zsl.measurements.saved_forward import BlockForward

Rotation = tuple[Tensor, Tensor] | None
"""Sine and cosine, (positions, head width)."""


def attention_backward(block: BlockForward, doutput: Tensor, rotation: Rotation) -> Tensor:
    """dL/d(queries, keys, values) of dL/d(attention), (positions, tokens, width).

    ``positions`` may be a prefix of those of ``block``, and ``rotation`` is that of the prefix.
    Returns (positions, tokens, 3 width), as att_proj's output is laid out.
    """
    positions, tokens, width = doutput.shape
    heads = len(block.q)
    doutput = doutput.view(positions, tokens, heads, -1)
    dqkv = doutput.new_empty(positions, tokens, 3, heads, width // heads)
    for head in range(heads):
        q, k, v = (x[head, :positions] for x in (block.q, block.k, block.v))
        A = block.probabilities[head, :positions, :positions]
        do = doutput[:, :, head].contiguous()
        dv = A.T @ do.view(positions, -1)
        # Softmax: dscores = A (dA - sum of A dA over keys), and that sum is do . output.
        output = block.attention[:positions].view(positions, heads, -1)[:, head]
        dscores = (do.view(-1, do.shape[-1]) @ v.T).view(positions, tokens, positions)
        dscores.sub_((do * output.unsqueeze(1)).sum(-1, keepdim=True)).mul_(A.unsqueeze(1))
        dq = dscores.view(-1, positions) @ k
        dk = dscores.view(positions, -1).T @ q
        dqkv[:, :, 0, head] = unrotate(dq.view(do.shape), rotation)
        dqkv[:, :, 1, head] = unrotate(dk.view(tokens, positions, -1).transpose(0, 1), rotation)
        dqkv[:, :, 2, head] = dv.view(do.shape)
    return dqkv.view(positions, tokens, 3 * width)


def unrotate(gradient: Tensor, rotation: Rotation) -> Tensor:
    """The gradient by queries or keys before their rotation, of the one after it.

    ``gradient`` is (positions, ..., head width), ``rotation`` that of its positions.
    """
    if rotation is None:
        return gradient
    between = (1,) * (gradient.ndim - 2)
    sin, cos = (x.view(len(x), *between, -1).chunk(2, dim=-1)[0] for x in rotation)
    a, b = gradient.chunk(2, dim=-1)
    return torch.cat((a * cos + b * sin, b * cos - a * sin), dim=-1)
