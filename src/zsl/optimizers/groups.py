"""Weights that share a rule or its settings, as torch's optimizers take them."""

from __future__ import annotations

from typing import Any

from zsl.config.optimizers import Shared
from zsl.models.base import LanguageModel

Group = dict[str, Any]
"""With ``params``, their names, and settings that differ from the optimizer's: for RuleOptimizer
``update`` and, if not 1, ``factor``."""


def weight_groups(settings: Shared, model: LanguageModel) -> list[Group]:
    """The weights that decay and those that do not, as OLMo divides and orders them for AdamW.

    Matrices do, norms and biases do not; embeddings do if they are asked to.
    """
    decaying = {"linear", "embedding"} if settings.decay_embeddings else {"linear"}
    groups: list[Group] = []
    for decays in (True, False):
        some = {n: w for n, w in sorted(model.weights().items()) if (w.kind in decaying) == decays}
        if some:
            tensors = [weight.tensor for weight in some.values()]
            group: Group = {"params": tensors, "param_names": [*some]}
            groups.append(group if decays else {**group, "weight_decay": 0.0})
    return groups
