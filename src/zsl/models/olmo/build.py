"""The models of runs, by their settings (Section A.1)."""

from __future__ import annotations

import torch
from olmo.config import ActivationType, InitFnType, LayerNormType, ModelConfig

from zsl.config.schema import Model, Run
from zsl.config.sources import Tokenizer
from zsl.models.olmo.adapter import Olmo


def model_config(model: Model, sequence_length: int, tokenizer: Tokenizer) -> ModelConfig:
    """OLMo's configuration of a model; every default that differs from the paper is set."""
    return ModelConfig(
        d_model=model.d_model,
        n_heads=model.n_heads,
        n_layers=model.n_layers,
        mlp_ratio=model.mlp_ratio,
        activation_type=ActivationType(model.activation),
        rope=model.rope,
        alibi=False,
        flash_attention=False,
        attention_dropout=0.0,
        residual_dropout=0.0,
        embedding_dropout=0.0,
        layer_norm_type=LayerNormType.rms,
        layer_norm_with_affine=False,
        layer_norm_eps=model.layer_norm_eps,
        max_sequence_length=sequence_length,
        include_bias=False,
        vocab_size=tokenizer.vocab_size,
        embedding_size=tokenizer.rows,
        weight_tying=model.weight_tying,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        init_device="cpu",
        init_fn=InitFnType("normal" if model.init == "gpt2" else model.init),
    )


def build_model(run: Run, tokenizer: Tokenizer) -> Olmo:
    """The run's model with its initial weights, float32 on CPU.

    The weights depend on ``run.seed`` and the architecture alone; the state of torch's
    generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        model = Olmo(model_config(run.model, run.sequence_length, tokenizer))
    if run.model.init == "gpt2":
        _shrink_residual_projections(model)
    return model


def _shrink_residual_projections(model: Olmo) -> None:
    """Divide what is added to the residual stream by the root of how often that is done."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith((".attn_out.weight", ".ff_out.weight")) and ".blocks." in name:
                weight.mul_((2 * model.config.n_layers) ** -0.5)


def empty_model(model: Model, sequence_length: int, tokenizer: Tokenizer) -> Olmo:
    """A model to load a checkpoint into: its weights are not initialised."""
    return Olmo(model_config(model, sequence_length, tokenizer), init_params=False)
