"""Token losses of a model whose logits are never held for more positions than fit a bound.

Logits are by far the largest array of a small model: (positions, vocabulary), where everything
else is (positions, width). They are made of the final hidden states some positions at a time, and
made again where a backward pass needs them. How many positions depends on the vocabulary alone,
not on the memory of the moment, so that results are the same wherever they are made.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from zsl.models.base import LanguageModel, OnLogits
from zsl.training.step import losses_of_rows, next_tokens

LOGIT_BYTES = 128 * 2**20
"""Bytes of logits held at once, unless those of one position are more."""

_made_again = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
"""Calls a function and forgets what it computed until a backward pass needs it."""


def positions_at_once(model: LanguageModel) -> int:
    """Positions whose logits are held at once."""
    return max(1, LOGIT_BYTES // (model.rows * model.table.element_size()))


def losses_of(
    model: LanguageModel,
    input_ids: Tensor,
    *,
    embedded: Tensor | None = None,
    on_logits: OnLogits | None = None,
) -> Tensor:
    """Cross-entropy of all predictions of ``input_ids`` (sequences, positions) in nats.

    Returns (sequences, positions - 1), float32 or wider, through which gradients flow. See
    LanguageModel.hidden on ``embedded``. ``on_logits`` is called with all hidden states and
    logits, in parts; what it hooks to logits sees each gradient once.
    """
    hidden = model.hidden(input_ids, embedded).flatten(0, 1)
    # The last position predicts nothing and is ignored.
    targets = next_tokens(input_ids).flatten()

    def part(hidden: Tensor, targets: Tensor) -> Tensor:
        return losses_of_rows(model.logits(hidden, on_logits), targets)

    size = positions_at_once(model)
    if len(targets) <= size:
        found = part(hidden, targets)
    else:
        parts = zip(hidden.split(size), targets.split(size), strict=True)
        found = torch.cat([_made_again(part, *some) for some in parts])
    return found.view(input_ids.shape)[:, :-1]


def losses_at(
    model: LanguageModel, input_ids: Tensor, at: tuple[Tensor, Tensor], targets: Tensor
) -> Tensor:
    """Cross-entropy of some predictions only: of ``targets`` (n,), at ``at``, sequence and position
    of each, both (n,). Returns (n,) in nats."""
    hidden, size = model.hidden(input_ids), positions_at_once(model)
    if input_ids.numel() <= size:
        return losses_of_rows(model.logits(hidden)[at], targets)
    parts = zip(hidden[at].split(size), targets.split(size), strict=True)
    return torch.cat([losses_of_rows(model.logits(h), some) for h, some in parts])
