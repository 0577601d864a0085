"""A run's optimizer, intervention and schedule (Section A.1)."""

from __future__ import annotations

from importlib import import_module

import torch
from olmo.config import SchedulerConfig, SchedulerType, TrainConfig
from olmo.optim import Scheduler, build_scheduler

from zsl import interventions, optimizers
from zsl.config.schema import Run
from zsl.models.base import LanguageModel
from zsl.training.step import Passes, backward


def make_optimizer(run: Run, model: LanguageModel) -> torch.optim.Optimizer:
    """The run's optimizer over the parameters of ``model``, built by its own module."""
    return import_module(optimizers.module_of(run.optimizer.name)).build(run.optimizer, model)


def make_passes(run: Run, model: LanguageModel, optimizer: torch.optim.Optimizer) -> Passes:
    """What leaves the gradient of each step: the run's intervention, or :func:`backward`."""
    if run.intervention is None:
        return backward
    module = import_module(interventions.module_of(run.intervention.name))
    passes: Passes = module.build(run.intervention, model, optimizer)
    return passes


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
