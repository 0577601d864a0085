"""First-order change of every token's loss along an update (Eqs. 7 and 19).

All of them come from one forward pass that carries tangents along: that of the final hidden
states h along the update, dh, gives

    dl_i = (e_i W) . dh_i + (e_i dW) . h_i,    e_i = softmax(logits_i) - onehot(target_i)

with W the unembedding, so that no tangent of the logits is ever made.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from zsl.errors import MeasurementError
from zsl.measurements.losses import positions_at_once
from zsl.models.base import LanguageModel

ROWS = 1024
"""Most predictions whose logits are held at once."""


@torch.no_grad()
def first_order(
    model: LanguageModel, input_ids: Tensor, update: Mapping[str, Tensor], micro_batch_size: int
) -> Tensor:
    """The product of ``update`` with the gradient of every token's loss, in nats.

    ``update`` maps the names of the weights to tensors of their shapes; the predictions are
    those of ``input_ids`` (sequences, positions). Returns (sequences, positions - 1) float64.
    Raises MeasurementError when a change is not finite, and for models whose logits are more than
    hidden states times the unembedding.
    """
    model.require_plain_logits()
    parts = [
        _first_order(model, micro_batch, update)
        for micro_batch in input_ids.split(micro_batch_size)
    ]
    changes = torch.cat(parts)
    if not changes.isfinite().all():
        raise MeasurementError("the first-order change of a token's loss is not finite")
    return changes


def _first_order(model: LanguageModel, input_ids: Tensor, update: Mapping[str, Tensor]) -> Tensor:
    W, dW = model.get_parameter(model.unembedding), update[model.unembedding]
    hidden, tangent = model.hidden_tangents(input_ids, update)
    targets = input_ids[:, 1:].flatten()
    size = min(ROWS, positions_at_once(model))
    rows = [x[:, :-1].flatten(0, 1).split(size) for x in (hidden, tangent)]
    parts = []
    for h, dh, target in zip(*rows, targets.split(size), strict=True):
        error = torch.softmax(h @ W.T, dim=-1)
        error[torch.arange(len(target), device=target.device), target] -= 1
        along_h = ((error @ W).double() * dh.double()).sum(-1)
        along_W = ((error @ dW).double() * h.double()).sum(-1)
        parts.append(along_h + along_W)
    return torch.cat(parts).view(len(input_ids), -1)
