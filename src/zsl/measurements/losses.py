"""Token losses of a model whose logits are never held for more positions than fit a bound.

Logits are by far the largest array of a small model: (positions, vocabulary), where everything
else is (positions, width). They are made of the final hidden states some positions at a time, and
made again where a backward pass needs them. How many positions depends on the vocabulary alone,
not on the memory of the moment, so that results are the same wherever they are made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from olmo.model import OLMo
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from zsl.training.step import losses_of_rows, next_tokens

LOGIT_BYTES = 128 * 2**20
"""Bytes of logits held at once, unless those of one position are more."""

OnLogits = Callable[[Tensor, Tensor], None]
"""Sees the hidden states (positions, width) and their logits (positions, vocabulary)."""


class _Reached(Exception):
    """The final norm was computed: there is nothing to do for the model any more."""


_made_again = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
"""Calls a function and forgets what it computed until a backward pass needs it."""


def final_hidden(model: OLMo, input_ids: Tensor, embedded: Tensor | None = None) -> Tensor:
    """What the logits of ``input_ids`` (sequences, positions) are made of, after the final norm.

    ``embedded`` (sequences, positions, width) stands for the embeddings of the tokens, if given.
    Returns (sequences, positions, width).
    """
    reached: list[Tensor] = []

    def stop(_: nn.Module, __: object, output: Tensor) -> None:
        reached.append(output)
        raise _Reached

    handle = cast(nn.Module, model.transformer.ln_f).register_forward_hook(stop)
    try:
        model(input_ids, input_embeddings=embedded)
    except _Reached:
        pass
    finally:
        handle.remove()
    return reached[0]


def unembed(model: OLMo, hidden: Tensor, on_logits: OnLogits | None = None) -> Tensor:
    """Logits (..., vocabulary) of final hidden states (..., width), as OLMo makes them.

    ``on_logits`` sees them as the product that they are, before they are scaled.
    """
    if model.config.weight_tying:
        logits = F.linear(hidden, cast(nn.Embedding, model.transformer.wte).weight)
    else:
        logits = cast(nn.Linear, model.transformer.ff_out)(hidden)
    if on_logits:
        on_logits(hidden, logits)
    return logits.mul_(1 / math.sqrt(model.config.d_model)) if model.config.scale_logits else logits


def positions_at_once(model: OLMo) -> int:
    """Positions whose logits are held at once."""
    weight = cast(nn.Embedding, model.transformer.wte).weight
    return max(1, LOGIT_BYTES // (len(weight) * weight.element_size()))


def losses_of(
    model: OLMo,
    input_ids: Tensor,
    *,
    embedded: Tensor | None = None,
    on_logits: OnLogits | None = None,
) -> Tensor:
    """Cross-entropy of all predictions of ``input_ids`` (sequences, positions) in nats.

    Returns (sequences, positions - 1), float32 or wider, through which gradients flow. See
    :func:`final_hidden` on ``embedded``. ``on_logits`` is called with all hidden states and
    logits, in parts; what it hooks to logits sees each gradient once.
    """
    hidden = final_hidden(model, input_ids, embedded).flatten(0, 1)
    # The last position predicts nothing and is ignored.
    targets = next_tokens(input_ids).flatten()

    def part(hidden: Tensor, targets: Tensor) -> Tensor:
        return losses_of_rows(unembed(model, hidden, on_logits), targets)

    size = positions_at_once(model)
    if len(targets) <= size:
        found = part(hidden, targets)
    else:
        parts = zip(hidden.split(size), targets.split(size), strict=True)
        found = torch.cat([_made_again(part, *some) for some in parts])
    return found.view(input_ids.shape)[:, :-1]


def losses_at(model: OLMo, input_ids: Tensor, at: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
    """Cross-entropy of some predictions only: of ``targets`` (n,), at ``at``, sequence and position
    of each, both (n,). Returns (n,) in nats."""
    hidden, size = final_hidden(model, input_ids), positions_at_once(model)
    if input_ids.numel() <= size:
        return losses_of_rows(unembed(model, hidden)[at], targets)
    parts = zip(hidden[at].split(size), targets.split(size), strict=True)
    return torch.cat([losses_of_rows(unembed(model, h), some) for h, some in parts])
