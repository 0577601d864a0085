"""What a backward pass through OLMo needs of one sequence's forward pass.

The model's own modules make everything; attention probabilities alone are made again, from
queries and keys, since no module returns them. Tensors have no batch axis: there is one
sequence, of ``positions`` inputs that each predict the next token.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from olmo.config import BlockType, LayerNormType, ModelConfig
from olmo.model import LayerNormBase, OLMo, OLMoSequentialBlock
from torch import Tensor, nn

from zsl.errors import MeasurementError

REQUIRED = {
    "block_type": BlockType.sequential,
    "block_group_size": 1,
    "layer_norm_type": LayerNormType.rms,
    "layer_norm_with_affine": False,
    "attention_layer_norm": False,
    "embedding_layer_norm": False,
    "norm_after": False,
    "include_bias": False,
    "clip_qkv": None,
    "alibi": False,
    "flash_attention": False,
    "scale_logits": False,
    "attention_dropout": 0.0,
    "residual_dropout": 0.0,
    "embedding_dropout": 0.0,
}
"""Settings of OLMo that the backward pass is written for."""
MATRICES = ("att_proj.weight", "attn_out.weight", "ff_proj.weight", "ff_out.weight")
"""Weights of a block; that of the output is named as the last one."""


def check_architecture(model: OLMo) -> None:
    """Raises MeasurementError when per-token gradients of ``model`` cannot be made, naming the
    setting."""
    config = model.config
    wrong = [name for name, value in REQUIRED.items() if getattr(config, name) != value]
    if wrong:
        name = wrong[0]
        raise MeasurementError(
            f"per-token gradients of a model with {name}={getattr(config, name)} are not "
            f"implemented; expected {name}={REQUIRED[name]}"
        )
    if config.effective_n_kv_heads != config.n_heads:
        raise MeasurementError(
            f"per-token gradients of a model with n_kv_heads={config.effective_n_kv_heads} are not "
            f"implemented; expected as many as n_heads={config.n_heads}"
        )
    for name, weight in model.named_parameters():
        if not name.endswith((*MATRICES, "wte.weight", "wpe.weight")):
            raise MeasurementError(f"per-token gradients of {name} are not implemented")
        if weight.dtype not in (torch.float32, torch.float64):
            raise MeasurementError(
                f"{name} is {weight.dtype}; per-token gradients need float32 weights"
            )


@dataclass(frozen=True)
class Norm:
    """An RMSNorm without weights, y = r x."""

    y: Tensor
    """Output, (positions, width)."""
    r: Tensor
    """1 / sqrt(mean(x^2) + eps), (positions, 1)."""

    @classmethod
    def of(cls, x: Tensor, y: Tensor, eps: float) -> Norm:
        """The norm that made y of x, both (positions, width)."""
        return cls(y, (x.pow(2).mean(-1, keepdim=True) + eps).rsqrt())

    def backward(self, dy: Tensor, at: slice | Tensor) -> Tensor:
        """dL/dx of dL/dy, (positions, width) or (positions, tokens, width), at positions ``at``."""
        y, r = self.y[at], self.r[at]
        if dy.ndim == 3:
            y, r = y.unsqueeze(1), r.unsqueeze(1)
        along = (dy * y).mean(-1, keepdim=True)
        return torch.addcmul(dy, y, along, value=-1).mul_(r)


@dataclass(frozen=True)
class BlockForward:
    """A block's activations; heads come first, then positions."""

    name: str
    """Prefix of its weights' names."""
    attn_norm: Norm
    q: Tensor
    """Rotated queries over sqrt(head width), (heads, positions, head width)."""
    k: Tensor
    """Rotated keys over sqrt(head width), as q."""
    v: Tensor
    """Values, as q."""
    probabilities: Tensor
    """Attention of a query to a key, (heads, positions, positions)."""
    attention: Tensor
    """What attn_out reads, (positions, width)."""
    ff_norm: Norm
    act: Tensor
    """Output of the activation, (positions, hidden)."""
    slope: Tensor
    """Its derivative by each of the 1 or 2 inputs it has, (positions, inputs, hidden)."""


@dataclass(frozen=True)
class SavedForward:
    """One sequence's activations."""

    ids: Tensor
    """Input tokens, (positions,)."""
    targets: Tensor
    """What each position predicts, (positions,)."""
    blocks: list[BlockForward]
    final: Norm
    """The final norm; its output makes the logits."""
    rotation: tuple[Tensor, Tensor] | None
    """Sine and cosine by which queries and keys were rotated, (positions, head width); None
    without rotary positions."""


def save_forward(model: OLMo, tokens: Tensor) -> SavedForward:
    """Run ``model`` on one sequence ``tokens`` (positions + 1,) and keep what it computes."""
    ids, targets = tokens[:-1], tokens[1:]
    blocks = cast("list[OLMoSequentialBlock]", list(cast(nn.ModuleList, model.transformer.blocks)))
    with torch.no_grad(), _recording(blocks) as (inputs, outputs):
        model(ids.unsqueeze(0), last_logits_only=True)
        x, _ = outputs[blocks[-1]]  # and its cache
        ln_f = cast(LayerNormBase, model.transformer.ln_f)
        return SavedForward(
            ids=ids,
            targets=targets,
            blocks=[_block(block, inputs, outputs) for block in blocks],
            final=Norm.of(x[0], ln_f(x)[0], ln_f.eps),
            rotation=_rotation(blocks[0], model.config, len(ids)),
        )


@contextmanager
def _recording(
    blocks: list[OLMoSequentialBlock],
) -> Iterator[tuple[dict[nn.Module, Tensor], dict[nn.Module, Any]]]:
    """First inputs, and outputs, of the blocks and of their modules in a forward pass."""
    inputs: dict[nn.Module, Tensor] = {}
    outputs: dict[nn.Module, Any] = {}

    def record(module: nn.Module, args: tuple[Tensor, ...], output: Any) -> None:
        inputs[module], outputs[module] = args[0], output

    modules = [module for block in blocks for module in (block, *block.children())]
    handles = [module.register_forward_hook(record) for module in modules]
    try:
        yield inputs, outputs
    finally:
        for handle in handles:
            handle.remove()


def _block(
    block: OLMoSequentialBlock, inputs: dict[nn.Module, Tensor], outputs: dict[nn.Module, Any]
) -> BlockForward:
    def norm(module: LayerNormBase) -> Norm:
        return Norm.of(inputs[module][0], outputs[module][0], module.eps)

    heads = block.config.n_heads
    q, k, v = outputs[block.att_proj][0].unflatten(-1, (3, heads, -1)).permute(1, 2, 0, 3)
    if block.config.rope:
        q, k = (x[0] for x in outputs[block.rotary_emb])
    scale = q.shape[-1] ** -0.5
    q = q * scale
    future = q.new_ones(q.shape[1], q.shape[1], dtype=torch.bool).triu(1)
    act = outputs[block.act][0]
    return BlockForward(
        name=f"transformer.blocks.{block.layer_id}",
        attn_norm=norm(block.attn_norm),
        q=q,
        k=k * scale,
        v=v.contiguous(),
        probabilities=torch.softmax((q @ k.mT).masked_fill_(future, -torch.inf), dim=-1),
        attention=inputs[block.attn_out][0],
        ff_norm=norm(block.ff_norm),
        act=act,
        slope=_slope(block.act, inputs[block.act][0]).unflatten(-1, (-1, act.shape[-1])),
    )


def _slope(activation: nn.Module, x: Tensor) -> Tensor:
    """Derivative of the one output that each input of ``activation`` has part in, shape of x."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(activation(x).sum(), x)[0]


def _rotation(
    block: OLMoSequentialBlock, config: ModelConfig, positions: int
) -> tuple[Tensor, Tensor] | None:
    if not config.rope:
        return None
    weight = block.att_proj.weight
    sin, cos = block.rotary_emb.get_rotary_embedding(positions, weight.device)
    return sin[0, 0].to(weight.dtype), cos[0, 0].to(weight.dtype)
