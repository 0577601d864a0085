"""First-order change of every token's loss along an update (Eqs. 7 and 19).

All of them come from one forward pass that carries tangents along: that of the final hidden
states h along the update, dh, gives

    dl_i = (e_i W) . dh_i + (e_i dW) . h_i,    e_i = softmax(logits_i) - onehot(target_i)

with W the unembedding, so that no tangent of the logits is ever made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
import torch.autograd.forward_ad as forward_ad
from olmo.model import OLMo
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from zsl.errors import MeasurementError
from zsl.measurements.losses import positions_at_once
from zsl.measurements.saved_forward import check_architecture
from zsl.measurements.tangents import hidden_states

ROWS = 1024
"""Most predictions whose logits are held at once."""


@torch.no_grad()
def first_order(
    model: OLMo, input_ids: Tensor, update: Mapping[str, Tensor], micro_batch_size: int
) -> Tensor:
    """The product of ``update`` with the gradient of every token's loss, in nats.

    ``update`` maps the names of the weights to tensors of their shapes; the predictions are
    those of ``input_ids`` (sequences, positions). Returns (sequences, positions - 1) float64.
    Raises MeasurementError when a change is not finite, and for models whose logits are more than
    hidden states times the unembedding.
    """
    _check_logits(model)
    parts = [
        _first_order(model, micro_batch, update)
        for micro_batch in input_ids.split(micro_batch_size)
    ]
    changes = torch.cat(parts)
    if not changes.isfinite().all():
        raise MeasurementError("the first-order change of a token's loss is not finite")
    return changes


def _check_logits(model: OLMo) -> None:
    wrong = "scale_logits" if model.config.scale_logits else None
    if "transformer.ff_out.bias" in dict(model.named_parameters()):
        wrong = "include_bias, untied"
    if wrong:
        raise MeasurementError(
            f"first-order changes of a model with {wrong} are not implemented: its logits are not "
            "its final hidden states times the unembedding alone"
        )


def _first_order(model: OLMo, input_ids: Tensor, update: Mapping[str, Tensor]) -> Tensor:
    unembedding = unembedding_name(model)
    weights = dict(model.named_parameters())
    W, dW = weights[unembedding], update[unembedding]
    hidden, tangent = _hidden_states(model, input_ids, update)
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


def unembedding_name(model: OLMo) -> str:
    """Name of the weight that makes logits of hidden states."""
    tied = model.config.weight_tying
    return "transformer.wte.weight" if tied else "transformer.ff_out.weight"


def _hidden_states(
    model: OLMo, input_ids: Tensor, update: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Final hidden states and their tangents along ``update``, (sequences, positions, width)."""
    try:
        check_architecture(model)
    except MeasurementError:
        return _forward_mode(model, input_ids, update)
    return hidden_states(model, input_ids, update)


def _forward_mode(
    model: OLMo, input_ids: Tensor, update: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """The same for any OLMo, by torch's forward mode."""
    last: list[Tensor] = []
    blocks = cast(nn.ModuleList, model.transformer.blocks)
    handle = blocks[-1].register_forward_hook(lambda _, __, output: last.append(output[0]))
    try:
        # Attention has a forward mode in its plain form only.
        with forward_ad.dual_level(), sdpa_kernel(SDPBackend.MATH):
            duals = {
                name: forward_ad.make_dual(weight, update[name])
                for name, weight in model.named_parameters()
            }
            torch.func.functional_call(model, duals, (input_ids,), {"last_logits_only": True})
            final = cast(nn.Module, model.transformer.ln_f)
            # The model's own call saw the last position only.
            of_final = {
                name: duals[f"transformer.ln_f.{name}"] for name, _ in final.named_parameters()
            }
            hidden, tangent = forward_ad.unpack_dual(
                torch.func.functional_call(final, of_final, (last[0],))
            )
    finally:
        handle.remove()
    assert tangent is not None
    return hidden, tangent
