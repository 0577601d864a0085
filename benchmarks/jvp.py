"""First-order changes of every token's loss, against one backward pass per token (Eqs. 7, 19).

The peer makes the gradient of one token's loss after another and multiplies it with the update.
It would take minutes to hours: it does this for some of the tokens, evenly spread over each
sequence, and its time for all of them is extrapolated, its forward passes counted once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from harness import ROUNDS, Result, absolute, alternate, check, describe, main, spread
from inputs import LARGE, SMALL, model_and_tokens
from torch import Tensor

from zsl.measurements.first_order import first_order
from zsl.models.olmo.adapter import Olmo
from zsl.training.step import token_losses

Update = dict[str, Tensor]
PAPER = {"d_model": 1024, "n_layers": 16, "n_heads": 16, "positions": 1024}
"""144M."""


def losses_of_sequences(model: Olmo, input_ids: Tensor) -> Iterator[Tensor]:
    """Losses (positions - 1,) of one sequence after the other, each with its graph."""
    for sequence in input_ids.split(1):
        yield token_losses(model(sequence).logits, sequence)[0]


def one_by_one(model: Olmo, input_ids: Tensor, update: Update, positions: Tensor) -> Tensor:
    """Products of the update with the gradient of each loss at ``positions``, (sequences, n)."""
    weights = [weight for _, weight in model.named_parameters()]
    along = [update[name] for name, _ in model.named_parameters()]
    changes = []
    for losses in losses_of_sequences(model, input_ids):
        for loss in losses[positions].unbind():
            gradient = torch.autograd.grad(loss, weights, retain_graph=True)
            changes.append(sum(torch.sum(g * u) for g, u in zip(gradient, along, strict=True)))
    return torch.stack(changes).view(len(input_ids), -1)  # type: ignore[arg-type]


@torch.inference_mode()
def forward(model: Olmo, input_ids: Tensor) -> Tensor:
    """The forward pass that ours is compared with: that of the token losses."""
    return token_losses(model(input_ids).logits, input_ids)


def extrapolated(forward: np.ndarray, some: np.ndarray, factor: float) -> np.ndarray:
    """Seconds for ``factor`` times the tokens of ``some``, seconds of which ``forward`` are
    spent on forward passes, (rounds,) each."""
    return forward + (some - forward) * factor


def measure(
    device: torch.device,
    vocab_size: int,
    target: int,
    tokens: int = 32,
    rounds: int = ROUNDS,
    **sizes: int,
) -> Result:
    model, input_ids = model_and_tokens(vocab_size, **sizes)
    model, input_ids = model.to(device), input_ids.to(device)
    generator = torch.Generator().manual_seed(1)
    update = {
        name: 1e-3 * torch.randn(weight.shape, generator=generator).to(device)
        for name, weight in model.named_parameters()
    }
    n_predictions = input_ids.shape[1] - 1
    per_sequence = max(1, tokens // len(input_ids))
    positions = torch.linspace(0, n_predictions - 1, per_sequence, device=device).long()
    ours = first_order(model, input_ids, update, len(input_ids))[:, positions]
    peer = one_by_one(model, input_ids, update, positions)
    apart = float((ours - peer).abs().max() / peer.abs().max())
    agreement = check("largest difference over the largest change", apart, 1e-4)
    seconds = alternate(
        [
            lambda: list(losses_of_sequences(model, input_ids)),
            lambda: one_by_one(model, input_ids, update, positions),
            lambda: first_order(model, input_ids, update, len(input_ids)),
            lambda: forward(model, input_ids),
        ],
        rounds,
    )
    graphs, some, jvp, passes = seconds.T
    each = extrapolated(graphs, some, n_predictions / per_sequence)
    return Result(
        name=f"jvp, V = {vocab_size}",
        peer=f"a backward pass per token, extrapolated from {positions.numel() * len(input_ids)}",
        ours="zsl.measurements.first_order.first_order",
        unit="x the peer's speed",
        **spread(each / jvp),
        target=f">= {target}",
        agreement=agreement,
        note=f"{np.median(jvp / passes):.2f} forward passes (target <= 3.2); "
        f"{len(input_ids)} x {input_ids.shape[1]} tokens, d = {model.config.d_model} "
        + absolute(device, ours=jvp, peer=each),
        device=describe(device),
    )


if __name__ == "__main__":
    main(
        lambda device: (
            [measure(device, LARGE, 15, **PAPER)]
            if device.type == "cuda"
            else [measure(device, SMALL, 60), measure(device, LARGE, 150)]
        )
    )
