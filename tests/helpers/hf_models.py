"""Tiny models of transformers, one of each class that tests look at closely."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

SMALL: dict[str, Any] = {
    "vocab_size": 24,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 16,
}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "GPT-NeoX, parallel": ("GPTNeoXConfig", {"use_parallel_residual": True}),
    "GPT-NeoX": ("GPTNeoXConfig", {"use_parallel_residual": False}),
    "GPT-2": ("GPT2Config", {"bos_token_id": 0, "eos_token_id": 0}),
    "Llama": (
        "LlamaConfig",
        {
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "attention_bias": True,
            "pad_token_id": 3,
        },
    ),
    "Llama, tied": ("LlamaConfig", {"tie_word_embeddings": True}),
    "OLMo 2": ("Olmo2Config", {"pad_token_id": 1}),
    "OLMo": ("OlmoConfig", {}),
    "Gemma": ("GemmaConfig", {"num_key_value_heads": 1, "head_dim": 4}),
    "Gemma 2": ("Gemma2Config", {"num_key_value_heads": 1, "head_dim": 4}),
    "Qwen 3": ("Qwen3Config", {"num_key_value_heads": 1, "head_dim": 4}),
    "Phi": ("PhiConfig", {}),
    "Mixtral": ("MixtralConfig", {"num_key_value_heads": 1, "num_local_experts": 2}),
    "BERT": ("BertConfig", {}),
}
"""Settings class and settings by name."""
CLOSELY = ("GPT-NeoX, parallel", "GPT-NeoX", "GPT-2", "Llama", "OLMo 2")


def make(name: str, seed: int = 0) -> Any:
    """A model of transformers with random weights, biases and norms included."""
    import transformers

    kind, settings = CONFIGS[name]
    torch.manual_seed(seed)
    config = getattr(transformers, kind)(**{**SMALL, **settings})
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for own, weight in model.named_parameters():
            mean = float("norm" in own and own.endswith("weight"))
            weight.copy_(mean + 0.3 * torch.randn_like(weight))
    return model


def save(name: str, folder: Path, seed: int = 0, **how: Any) -> Any:
    """Write a model as ``save_pretrained`` does; returns it."""
    model = make(name, seed)
    model.save_pretrained(folder, **how)
    return model


class _Torch:
    """torch, whose float32 is float64."""

    float32 = torch.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def in_float64(model: Any, setattr: Callable[[Any, str, Any], None]) -> Any:
    """A model in float64 throughout: its norms otherwise round to float32."""
    for module in {type(module).__module__ for module in model.modules()}:
        if module.startswith("transformers.models."):
            setattr(sys.modules[module], "torch", _Torch())
    return model.double()
