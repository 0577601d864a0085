"""What gradient opposition by proxy adds to a forward and backward pass (Eq. 4, A.3).

The peer is the paper's listing (Code 2), a linear layer with a backward pass of its own, in
place of every linear layer of the model; the listing has none for the embedding's rows, which
are added up here in its manner.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from harness import ROUNDS, Result, absolute, alternate, check, describe, main, spread
from inputs import LARGE, SMALL, model_and_tokens
from torch import Tensor, nn

from zsl.measurements.gradient_opposition import opposition
from zsl.models.olmo.adapter import Olmo
from zsl.training.step import token_losses


def sums_of(W: Any) -> tuple[Tensor, Tensor]:
    """The listing's two sums, which a weight carries."""
    if not hasattr(W, "sum_grads"):
        W.sum_grads = torch.zeros_like(W)
        W.sum_abs_grads = torch.zeros_like(W)
    return W.sum_grads, W.sum_abs_grads


class ListingLinear(torch.autograd.Function):
    """y = x W^T, and in the backward pass the sums of Code 2."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor) -> Tensor:
        ctx.save_for_backward(x, W)
        return x @ W.T

    @staticmethod
    def backward(ctx: Any, dLdy: Tensor) -> Any:  # type: ignore[override]
        x, W = ctx.saved_tensors
        total, of_absolutes = sums_of(W)
        total.add_(torch.einsum("B...d,B...p->pd", x, dLdy))
        of_absolutes.add_(torch.einsum("B...d,B...p->pd", x.abs(), dLdy.abs()))
        return torch.einsum("B...p,pd->B...d", dLdy, W), None


class ListingEmbedding(torch.autograd.Function):
    """Rows of W, and in the backward pass the same sums for them."""

    @staticmethod
    def forward(ctx: Any, ids: Tensor, W: Tensor) -> Tensor:
        ctx.save_for_backward(ids, W)
        return W[ids]

    @staticmethod
    def backward(ctx: Any, dLdy: Tensor) -> Any:  # type: ignore[override]
        ids, W = ctx.saved_tensors
        total, of_absolutes = sums_of(W)
        total.index_add_(0, ids.flatten(), dLdy.flatten(0, -2))
        of_absolutes.index_add_(0, ids.flatten(), dLdy.flatten(0, -2).abs())
        return None, None


@contextmanager
def listing_layers() -> Iterator[None]:
    """Every linear layer and embedding within the block is the listing's."""

    def linear(x: Tensor, W: Tensor, bias: Tensor | None = None) -> Tensor:
        return ListingLinear.apply(x, W)

    def embedding(module: nn.Embedding, ids: Tensor) -> Tensor:
        return ListingEmbedding.apply(ids, module.weight)

    with patch.object(F, "linear", linear), patch.object(nn.Embedding, "forward", embedding):
        yield


def forward_and_backward(model: Olmo, input_ids: Tensor) -> None:
    model.zero_grad(set_to_none=True)
    token_losses(model(input_ids).logits, input_ids).sum().backward()


def listing(model: Olmo, input_ids: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Sum and sum of absolute values per weight, as the listing leaves them."""
    with listing_layers():
        forward_and_backward(model, input_ids)
    sums = {name: sums_of(W) for name, W in model.named_parameters()}
    for W in model.parameters():
        del W.sum_grads, W.sum_abs_grads  # type: ignore[attr-defined]
    return sums


def difference(model: Olmo, input_ids: Tensor) -> float:
    """Largest relative difference, in the 1-norm of a weight, between the listing's and ours."""
    ours, worst = opposition(model, input_ids, len(input_ids)), 0.0
    for name, (total, of_absolutes) in listing(model, input_ids).items():
        for one, other in ((ours[name].total, total), (ours[name].absolute, of_absolutes)):
            worst = max(worst, float((one - other).abs().sum() / of_absolutes.abs().sum()))
    return worst


def measure(
    device: torch.device, vocab_size: int, target: float, rounds: int = ROUNDS, **sizes: int
) -> Result:
    model, input_ids = model_and_tokens(vocab_size, **sizes)
    model, input_ids = model.to(device), input_ids.to(device)
    agreement = check("largest relative difference", difference(model, input_ids), 1e-5)
    seconds = alternate(
        [
            lambda: forward_and_backward(model, input_ids),
            lambda: listing(model, input_ids),
            lambda: opposition(model, input_ids, len(input_ids)),
        ],
        rounds,
    )
    plain, peer, ours = seconds.T
    return Result(
        name=f"proxy, V = {vocab_size}",
        peer="the listing's backward pass in every layer",
        ours="zsl.measurements.gradient_opposition.opposition",
        unit="of forward and backward, added to it",
        **spread(ours / plain - 1),
        target=f"<= {target}",
        agreement=agreement,
        note=f"the listing adds {np.median(peer / plain - 1):.2f}; "
        f"{len(input_ids)} x {input_ids.shape[1]} tokens, d = {model.config.d_model} "
        + absolute(device, plain=plain, ours=ours, peer=peer),
        device=describe(device),
    )


if __name__ == "__main__":
    main(lambda device: [measure(device, SMALL, 0.25, 25), measure(device, LARGE, 0.30)])
