"""A run's model, optimizer and schedule, built from OLMo's own parts (Section A.1)."""

from __future__ import annotations

from importlib import import_module

import torch
from olmo.config import (
    ActivationType,
    InitFnType,
    LayerNormType,
    ModelConfig,
    SchedulerConfig,
    SchedulerType,
    TrainConfig,
)
from olmo.model import OLMo
from olmo.optim import Scheduler, build_scheduler

from zsl.config.schema import Model, Run
from zsl.config.sources import Tokenizer
from zsl.optimizers import module_of


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


def build_model(run: Run, tokenizer: Tokenizer) -> OLMo:
    """The run's model with its initial weights, float32 on CPU.

    The weights depend on ``run.seed`` and the architecture alone; the state of torch's
    generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        model = OLMo(model_config(run.model, run.sequence_length, tokenizer))
    if run.model.init == "gpt2":
        _shrink_residual_projections(model)
    return model


def _shrink_residual_projections(model: OLMo) -> None:
    """Divide what is added to the residual stream by the root of how often that is done."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith((".attn_out.weight", ".ff_out.weight")) and ".blocks." in name:
                weight.mul_((2 * model.config.n_layers) ** -0.5)


def empty_model(model: Model, sequence_length: int, tokenizer: Tokenizer) -> OLMo:
    """A model to load a checkpoint into: its weights are not initialised."""
    return OLMo(model_config(model, sequence_length, tokenizer), init_params=False)


def make_optimizer(run: Run, model: OLMo) -> torch.optim.Optimizer:
    """The run's optimizer over the parameters of ``model``, built by its own module."""
    return import_module(module_of(run.optimizer.name)).build(run.optimizer, model)


def make_scheduler(run: Run) -> Scheduler:
    """The run's learning-rate schedule, OLMo's."""
    schedule = run.schedule
    config = SchedulerConfig(
        name=SchedulerType(schedule.name),
        t_warmup=schedule.warmup_steps,
        alpha_f=schedule.final_fraction,
        warmup_min_lr=schedule.warmup_start * run.optimizer.learning_rate,
    )
    return build_scheduler(TrainConfig(scheduler=config))


def learning_rate(run: Run, scheduler: Scheduler, step: int) -> float:
    """Rate of the update that makes ``step`` (the first update makes step 1).

    peak * (w + (1 - w) * min(s, warmup) / warmup), then constant, cosine or linear.
    """
    return scheduler.get_lr(run.optimizer.learning_rate, step, run.steps)
