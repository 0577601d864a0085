"""A run's model, optimizer and schedule, built from OLMo's own parts (Section A.1)."""

from __future__ import annotations

import torch
from olmo.config import (
    ActivationType,
    InitFnType,
    LayerNormType,
    ModelConfig,
    OptimizerConfig,
    OptimizerType,
    SchedulerConfig,
    SchedulerType,
    TrainConfig,
)
from olmo.model import OLMo
from olmo.optim import Optimizer, Scheduler, build_optimizer, build_scheduler

from zsl.config.schema import Model, Run
from zsl.config.sources import Tokenizer


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
        init_fn=InitFnType(model.init),
    )


def build_model(run: Run, tokenizer: Tokenizer) -> OLMo:
    """The run's model with its initial weights, float32 on CPU.

    The weights depend on ``run.seed`` and the architecture alone; the state of torch's
    generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        return OLMo(model_config(run.model, run.sequence_length, tokenizer))


def empty_model(model: Model, sequence_length: int, tokenizer: Tokenizer) -> OLMo:
    """A model to load a checkpoint into: its weights are not initialised."""
    return OLMo(model_config(model, sequence_length, tokenizer), init_params=False)


def train_config(run: Run) -> TrainConfig:
    """The parts of OLMo's training configuration that its builders read."""
    optimizer, schedule = run.optimizer, run.schedule
    return TrainConfig(
        max_grad_norm=optimizer.clip,
        optimizer=OptimizerConfig(
            name=OptimizerType(optimizer.name),
            learning_rate=optimizer.learning_rate,
            betas=optimizer.betas,
            eps=optimizer.eps,
            weight_decay=optimizer.weight_decay,
            decay_embeddings=optimizer.decay_embeddings,
        ),
        scheduler=SchedulerConfig(
            name=SchedulerType(schedule.name),
            t_warmup=schedule.warmup_steps,
            alpha_f=schedule.final_fraction,
            warmup_min_lr=schedule.warmup_start * optimizer.learning_rate,
        ),
    )


def make_optimizer(run: Run, model: OLMo) -> Optimizer:
    """The run's optimizer over the parameters of ``model``, fused on a GPU."""
    optimizer = build_optimizer(train_config(run), model)
    if next(model.parameters()).is_cuda:
        for group in optimizer.param_groups:
            group["fused"] = True
    return optimizer


def make_scheduler(run: Run) -> Scheduler:
    """The run's learning-rate schedule."""
    return build_scheduler(train_config(run))


def learning_rate(run: Run, scheduler: Scheduler, step: int) -> float:
    """Rate of the update that makes ``step`` (the first update makes step 1).

    peak * (w + (1 - w) * min(s, warmup) / warmup), then constant or cosine.
    """
    return scheduler.get_lr(run.optimizer.learning_rate, step, run.steps)
