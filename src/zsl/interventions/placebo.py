"""Placebo of agreement: the same factors, each in a place of its weight that is drawn at random.

    g_j <- s g_j C_p(j)^gamma

with a permutation p of the coordinates of each weight (a stacked one as a whole), drawn anew
whenever C is measured, and s such that the norm of the whole gradient stays. What an arm with
agreement has and this one has not is due to the alignment of factors and coordinates; what both
have is due to unequal factors as such.

*Assumed:* as of agreement; and that a permutation within a weight destroys the alignment, which
factors that are alike in all of a weight would survive. *Source:* a permutation control, ours.
*Cost and memory:* those of :mod:`zsl.interventions.agreement`, and a permutation of all weights
each time. It depends on ``seed`` and step only, so that a resumed run draws the same.
"""

from __future__ import annotations

import numpy as np
import torch

from zsl.config.interventions import Placebo
from zsl.interventions.agreement import WeighedCoordinates
from zsl.measurements.gradient_opposition import Sums
from zsl.models.base import LanguageModel


def build(
    settings: Placebo, model: LanguageModel, optimizer: torch.optim.Optimizer
) -> WeighedCoordinates:
    """Passes of a step with the permuted factors."""

    def change(factors: Sums, step: int) -> Sums:
        return permuted(factors, settings.seed, step)

    return WeighedCoordinates(settings, model, optimizer, change)


def permuted(factors: Sums, seed: int, step: int) -> Sums:
    """The factors of each weight in another order."""
    (drawn,) = np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)
    generator = torch.Generator().manual_seed(int(drawn >> np.uint64(1)))
    made = {}
    for name, values in factors.items():
        order = torch.randperm(values.numel(), generator=generator).to(values.device)
        made[name] = values.flatten()[order].view_as(values)
    return made
