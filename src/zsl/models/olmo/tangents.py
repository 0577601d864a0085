"""Final hidden states of an OLMo and their tangents along an update, written out by hand.

Forward mode carries the tangent beside every single operation; here a value and its tangent lie
in one tensor, and whatever is linear, which is most of a transformer, treats both at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from olmo.model import LayerNormBase, OLMo, OLMoSequentialBlock
from torch import Tensor, nn

from zsl.errors import MeasurementError
from zsl.models.olmo.saved_forward import Norm, check_architecture


def is_known(model: OLMo) -> bool:
    """Whether tangents of a model are written out here."""
    try:
        check_architecture(model)
    except MeasurementError:
        return False
    return True


def hidden_states(
    model: OLMo, input_ids: Tensor, update: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Final hidden states and their tangents along ``update``, (sequences, positions, width).

    ``model`` must be one that :func:`is_known`.
    """
    x = _embedded(model, input_ids, update)
    blocks = cast("list[OLMoSequentialBlock]", list(cast(nn.ModuleList, model.transformer.blocks)))
    for block in blocks:
        x += _attention(block, x, update, len(input_ids))
        x += _feed_forward(block, x, update)
    hidden, tangent = _norm(cast(LayerNormBase, model.transformer.ln_f), x)
    return hidden.view(*input_ids.shape, -1), tangent.view(*input_ids.shape, -1)


def _embedded(model: OLMo, input_ids: Tensor, update: Mapping[str, Tensor]) -> Tensor:
    """Values and tangents, (2, sequences x positions, width), as in all that follows."""

    def both(name: str, ids: Tensor) -> Tensor:
        embedding = cast(nn.Embedding, model.transformer[name])
        return torch.stack([embedding(ids), F.embedding(ids, update[f"transformer.{name}.weight"])])

    x = both("wte", input_ids)
    if not model.config.rope:
        x += both("wpe", torch.arange(input_ids.shape[1], device=input_ids.device)).unsqueeze(1)
    return x.flatten(1, 2)


def _norm(norm: LayerNormBase, x: Tensor) -> Tensor:
    y = norm(x[0])
    # The Jacobian is symmetric: forward and backward are the same product.
    return torch.stack([y, Norm.of(x[0], y, norm.eps).backward(x[1], slice(None))])


def _linear(layer: nn.Linear, x: Tensor, dW: Tensor) -> Tensor:
    y = layer(x)
    y[1].addmm_(x[0], dW.T)
    return y


def _attention(
    block: OLMoSequentialBlock, x: Tensor, update: Mapping[str, Tensor], sequences: int
) -> Tensor:
    name = f"transformer.blocks.{block.layer_id}"
    y = _norm(block.attn_norm, x)
    qkv = _linear(block.att_proj, y, update[f"{name}.att_proj.weight"])
    # Values of all sequences and then tangents: (2 sequences, heads, positions, head width) each.
    heads = qkv.view(
        2 * sequences, -1, 3 * block.config.n_heads, x.shape[-1] // block.config.n_heads
    )
    q, k, v = heads.transpose(1, 2).chunk(3, dim=1)
    if block.config.rope:
        q, k = block.rotary_emb(q, k)
    q = q * q.shape[-1] ** -0.5
    (q, dq), (k, dk), (v, dv) = q.chunk(2), k.chunk(2), v.chunk(2)
    future = q.new_ones(q.shape[2], q.shape[2], dtype=torch.bool).triu(1)
    probabilities = torch.softmax((q @ k.mT).masked_fill_(future, -torch.inf), dim=-1)
    change = probabilities * (torch.cat([dq, q], dim=-1) @ torch.cat([k, dk], dim=-1).mT)
    change -= probabilities * change.sum(-1, keepdim=True)
    out = torch.stack([probabilities @ v, probabilities @ dv + change @ v])
    out = out.transpose(2, 3).reshape(x.shape)
    return _linear(block.attn_out, out, update[f"{name}.attn_out.weight"])


def _feed_forward(block: OLMoSequentialBlock, x: Tensor, update: Mapping[str, Tensor]) -> Tensor:
    name = f"transformer.blocks.{block.layer_id}"
    y = _norm(block.ff_norm, x)
    hidden = _linear(block.ff_proj, y, update[f"{name}.ff_proj.weight"])
    act = torch.stack(torch.func.jvp(block.act, (hidden[0],), (hidden[1],)))
    return _linear(block.ff_out, act, update[f"{name}.ff_out.weight"])
