"""Backward through causal attention for many tokens' losses at once.

Gradients are (positions, tokens, ...): each token's loss has its own gradient at each position,
while queries, keys, values and probabilities are the same for all of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zsl.config.blocks import KEYS
from zsl.models.olmo.saved_forward import BlockForward

Rotation = tuple[Tensor, Tensor] | None
"""Sine and cosine, (positions, head width)."""


def attention_backward(block: BlockForward, doutput: Tensor, rotation: Rotation) -> Tensor:
    """dL/d(queries, keys, values) of dL/d(attention), (positions, tokens, width).

    ``positions`` may be a prefix of those of ``block``; ``rotation`` is that of the prefix.
    Returns (positions, tokens, 3 width), laid out as att_proj's output.
    """
    positions, tokens, width = doutput.shape
    heads, _, head_width = block.q.shape
    dqkv = doutput.new_empty(positions, tokens, 3, heads, head_width)
    by_head = dqkv.permute(2, 3, 0, 1, 4)  # (3, heads, positions, tokens, head width)
    do = doutput.view(positions, tokens, heads, -1).permute(2, 0, 1, 3).contiguous()
    output = block.attention[:positions].unflatten(-1, (heads, -1)).transpose(0, 1)
    along = (do * output.unsqueeze(2)).sum(-1, keepdim=True)
    dq = torch.empty_like(do)
    for start in range(0, positions, KEYS):
        keys, later = slice(start, min(start + KEYS, positions)), slice(start, positions)
        rows = do[:, later].flatten(1, 2)
        k, v, A = block.k[:, keys], block.v[:, keys], block.probabilities[:, later, keys]
        # Softmax: dscores = A (dA - the sum of A dA over keys), and that sum is do . output.
        dscores = (rows @ v.mT).view(heads, -1, tokens, v.shape[1])
        dscores.sub_(along[:, later]).mul_(A.unsqueeze(2))
        # All queries see the first keys, so that dq starts there.
        dq[:, later].flatten(1, 2).baddbmm_(dscores.flatten(1, 2), k, beta=float(start > 0))
        dk = dscores.flatten(2).mT @ block.q[:, later]
        dk = unrotate(dk.view(heads, tokens, -1, head_width), _some(rotation, keys))
        by_head[1, :, keys] = dk.transpose(1, 2)
        by_head[2, :, keys] = (A.mT @ do[:, later].flatten(2)).view(heads, -1, tokens, head_width)
    by_head[0] = unrotate(dq.transpose(1, 2), rotation).transpose(1, 2)
    return dqkv.view(positions, tokens, 3 * width)


def unrotate(gradient: Tensor, rotation: Rotation) -> Tensor:
    """The gradient by queries or keys before their rotation, of that by the rotated ones.

    ``gradient`` is (..., positions, head width), ``rotation`` that of its positions.
    """
    if rotation is None:
        return gradient
    sin, cos = (x.chunk(2, dim=-1)[0] for x in rotation)
    a, b = gradient.chunk(2, dim=-1)
    result = torch.empty_like(gradient)
    first, second = result.chunk(2, dim=-1)
    torch.mul(a, cos, out=first).addcmul_(b, sin)
    torch.mul(b, cos, out=second).addcmul_(a, sin, value=-1)
    return result


def _some(rotation: Rotation, at: slice) -> Rotation:
    return None if rotation is None else (rotation[0][at], rotation[1][at])
