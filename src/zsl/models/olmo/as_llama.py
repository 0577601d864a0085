"""OLMo as the Llama of transformers, which computes the same where its settings are these.

A norm without weights is one whose weights are 1. OLMo stacks queries, keys and values
(``att_proj``), and the value and the gate of SwiGLU, in this order (``ff_proj``). Both turn the
halves of a head by RoPE.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from olmo.config import ModelConfig
from torch import Tensor

from zsl.errors import TrainingError
from zsl.models.olmo.adapter import Olmo

NEEDED: dict[str, Any] = {
    "activation_type": "swiglu",
    "block_type": "sequential",
    "block_group_size": 1,
    "rope": True,
    "alibi": False,
    "layer_norm_type": "rms",
    "norm_after": False,
    "attention_layer_norm": False,
    "embedding_layer_norm": False,
    "include_bias": False,
    "clip_qkv": None,
    "scale_logits": False,
}
"""Settings of OLMo that a Llama has no others of."""
NORMS = {"attn_norm": "input_layernorm", "ff_norm": "post_attention_layernorm"}


def llama_settings(config: ModelConfig) -> dict[str, Any]:
    """Settings of a Llama of this architecture, by transformers' names of them.

    Raises TrainingError naming each setting that a Llama cannot have.
    """
    needed = dict(NEEDED)
    if config.layer_norm_with_affine and config.bias_for_layer_norm:
        needed["bias_for_layer_norm"] = False
    found = {key: getattr(config, key) for key in needed}
    if other := [key for key, value in needed.items() if found[key] != value]:
        said = ", ".join(f"{key} is {found[key]} and not {needed[key]}" for key in other)
        raise TrainingError(f"no Llama of transformers computes the same: {said}")
    return {
        "vocab_size": config.embedding_size or config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": _mlp_width(config),
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.effective_n_kv_heads,
        "head_dim": config.d_model // config.n_heads,
        "hidden_act": "silu",
        "max_position_embeddings": config.max_sequence_length,
        "rms_norm_eps": config.layer_norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": float(config.rope_theta)},
        "rope_theta": float(config.rope_theta),  # read by transformers 4
        "tie_word_embeddings": config.weight_tying,
        "attention_bias": False,
        "mlp_bias": False,
    }


def llama_weights(model: Olmo) -> dict[str, Tensor]:
    """The weights of a Llama that computes the same, by transformers' names of them."""
    config, weights = model.config, dict(model.named_parameters())
    names = [f"model.layers.{i}.{norm}" for i in range(config.n_layers) for norm in NORMS.values()]
    plain = {f"{name}.weight": torch.ones(config.d_model) for name in (*names, "model.norm")}
    return {**plain, **renamed(config, {name: w.detach() for name, w in weights.items()})}


def renamed(config: ModelConfig, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by OLMo's names of weights, in the shapes of these, by transformers' names: weights,
    gradients or updates. What OLMo stacks is taken apart."""
    head, kv_heads = config.d_model // config.n_heads, config.effective_n_kv_heads
    heights = {
        "self_attn.q_proj": config.d_model,
        "self_attn.k_proj": kv_heads * head,
        "self_attn.v_proj": kv_heads * head,
    }
    width = _mlp_width(config)
    parts = {
        "att_proj": heights,
        "attn_out": {"self_attn.o_proj": config.d_model},
        "ff_proj": {"mlp.up_proj": width, "mlp.gate_proj": width},
        "ff_out": {"mlp.down_proj": config.d_model},
        **{ours: {theirs: config.d_model} for ours, theirs in NORMS.items()},
    }
    whole = {"wte": "model.embed_tokens", "ln_f": "model.norm", "ff_out": "lm_head"}
    found = {}
    for name, tensor in tensors.items():
        _, *path, module, own = name.split(".")
        if not path:
            found[f"{whole[module]}.{own}"] = tensor
            continue
        pieces = tensor.split(list(parts[module].values()))
        for part, piece in zip(parts[module], pieces, strict=True):
            found[f"model.layers.{path[1]}.{part}.{own}"] = piece
    return found


def _mlp_width(config: ModelConfig) -> int:
    """Of gate and value each; what OLMo calls its hidden size is that of both together."""
    return (config.mlp_hidden_size or config.mlp_ratio * config.d_model) // 2
