"""Sums of absolute per-token gradients, exactly, against one backward pass per token.

The peer makes the forward pass of a batch once, differentiates the loss of one token after
another, and adds the gradients and their absolute values up. Its graph may be that of the whole
batch or, which is faster, of one sequence at a time. It does so for some of the tokens, and the
time of their backward passes is scaled up to all: they all cost the same.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from harness import ROUNDS, Result, absolute, alternate, check, describe, main, spread
from inputs import LARGE, SMALL, model_and_tokens
from memory import peak_memory
from torch import Tensor

from zsl.models.base import every_token
from zsl.models.olmo.adapter import Olmo
from zsl.training.step import token_losses

PIECES = {"chunk": 16, "tile_bytes": 2**20}
PEERS = {
    "batch": "a backward pass per token through the graph of the batch",
    "sequence": "a backward pass per token through the graph of its sequence",
}
OURS = "zsl.models.olmo.exact_gradients.absolute_sums"


def one_by_one(
    model: Olmo, input_ids: Tensor, tokens: np.ndarray, graph: str = "batch"
) -> dict[str, Tensor]:
    """sum_i abs(g_i) by weight over ``tokens`` (n, 2), and sum_i g_i beside it."""
    names, weights = zip(*model.named_parameters(), strict=True)
    totals, sums = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
    size = len(input_ids) if graph == "batch" else 1
    for start in range(0, len(input_ids), size):
        some = input_ids[start : start + size]
        losses = token_losses(model(some).logits, some)
        for sequence, position in tokens[tokens[:, 0] // size == start // size].tolist():
            loss = losses[sequence - start, position]
            gradients = torch.autograd.grad(loss, weights, retain_graph=True)
            for total, of_absolutes, gradient in zip(totals, sums, gradients, strict=True):
                total += gradient
                of_absolutes += gradient.abs()
    return dict(zip(names, sums, strict=True))


def difference(model: Olmo, input_ids: Tensor, tokens: np.ndarray) -> float:
    """Largest relative difference, in the 1-norm of a weight, between the peer's and ours."""
    ours = model.exact_gradients().absolute_sums(input_ids, tokens, **PIECES)
    peer = one_by_one(model, input_ids, tokens)
    return max(float((ours[n] - peer[n]).abs().sum() / peer[n].abs().sum()) for n in peer)


def measure(
    device: torch.device,
    vocab_size: int,
    target: float,
    n_peer: int | None = None,
    rounds: int = ROUNDS,
    **sizes: int,
) -> list[Result]:
    """Speed against both peers, which take ``n_peer`` tokens (None: all)."""
    model, input_ids = model_and_tokens(vocab_size, **sizes)
    model, input_ids = model.to(device), input_ids.to(device)
    every = every_token(input_ids)
    some = every[np.linspace(0, len(every) - 1, n_peer or len(every)).astype(int)]
    agreement = check("largest relative difference", difference(model, input_ids, some), 1e-5)
    calls: list[Callable[[], object]] = [
        lambda: model.exact_gradients().absolute_sums(input_ids, **PIECES)
    ]
    for graph in PEERS:
        for tokens in (every[:0], some):
            calls.append(lambda g=graph, t=tokens: one_by_one(model, input_ids, t, g))
    ours, *peers = alternate(calls, rounds).T
    results = []
    for graph, forward, both in zip(PEERS, peers[::2], peers[1::2], strict=True):
        peer = forward + (both - forward) * len(every) / len(some)
        scaled = f"peer's {len(some)} backward passes scaled up; " if n_peer else ""
        results.append(
            Result(
                name=f"exact gradients, V = {vocab_size}, graph of a {graph}",
                peer=PEERS[graph],
                ours=OURS,
                unit="x the peer's speed",
                **spread(peer / ours),
                target=f">= {target}",
                agreement=agreement,
                note=f"{scaled}{input_ids.shape[0]} x {input_ids.shape[1]} tokens, "
                f"d = {model.config.d_model} " + absolute(device, ours=ours, peer=peer),
                device=describe(device),
            )
        )
    return results


def prepare(side: str, vocab_size: int, sizes: dict[str, int]) -> Callable[[], object]:
    """One side's work, for a process of its own: the peer's peak is that of any few tokens."""

    def work(model: Olmo, input_ids: Tensor) -> None:
        if side == "ours":
            model.exact_gradients().absolute_sums(input_ids, **PIECES)
        else:
            one_by_one(model, input_ids, every_token(input_ids)[-3:], side)

    work(*model_and_tokens(64, d_model=16))  # libraries are loaded on first use
    model, input_ids = model_and_tokens(vocab_size, **sizes)
    return lambda: work(model, input_ids)


def measure_memory(vocab_size: int, target: float, **sizes: int) -> list[Result]:
    """Peak memory above the model of both peers over ours, on a CPU."""
    peaks = {s: peak_memory(prepare, s, vocab_size, sizes) for s in ("ours", *PEERS)}
    return [
        Result(
            name=f"memory of exact gradients, V = {vocab_size}, graph of a {graph}",
            peer=PEERS[graph],
            ours=OURS,
            unit="x less memory above the model, at its peak",
            **spread(np.array([peaks[graph] / peaks["ours"]])),
            target=f">= {target}",
            agreement="as of the speed",
            note=f"{peaks['ours'] / 2**20:.0f} MiB, the sums included, against "
            f"{peaks[graph] / 2**20:.0f} MiB",
            device=describe(torch.device("cpu")),
        )
        for graph in PEERS
    ]


if __name__ == "__main__":
    main(
        lambda device: [
            *measure(device, SMALL, 6, n_peer=128),
            *measure(device, LARGE, 50, n_peer=32),
            *measure_memory(SMALL, 10),
            *measure_memory(LARGE, 30),
        ]
    )
