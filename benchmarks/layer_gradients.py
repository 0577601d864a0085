"""Exact sums by layers, whatever the architecture, against one backward pass per token.

The peer is the faster one of ``exact_gradients.py``: the graph of a sequence is kept, and the loss
of one token after another differentiated. Of the model of that benchmark, and of a GPT-NeoX of
transformers, as of the Pythia suite: LayerNorms with weights, biases, a parallel residual stream,
an MLP of four times the width, an unembedding of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from exact_gradients import PIECES, one_by_one
from harness import ROUNDS, Result, absolute, alternate, check, describe, main, spread
from inputs import LARGE, SMALL
from inputs import model_and_tokens as olmo
from memory import peak_memory
from torch import Tensor
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from zsl.models.base import LanguageModel, every_token
from zsl.models.exact import LayerGradients
from zsl.models.hf.adapter import Causal
from zsl.training.step import token_losses

PEER = "a backward pass per token through the graph of its sequence"
OURS = "zsl.models.exact.LayerGradients.absolute_sums"


def neox(
    vocab_size: int, *, sequences: int = 4, positions: int = 128, d_model: int = 128
) -> tuple[Causal, Tensor]:
    """An untrained GPT-NeoX on the CPU, and random ``input_ids`` (sequences, positions) for it."""
    config = GPTNeoXConfig(
        vocab_size=vocab_size,
        hidden_size=d_model,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=4 * d_model,
        max_position_embeddings=positions,
    )
    torch.manual_seed(0)
    ids = torch.randint(vocab_size, (sequences, positions))
    return Causal(GPTNeoXForCausalLM(config)), ids


MODELS: dict[str, Callable[..., tuple[LanguageModel, Tensor]]] = {"OLMo": olmo, "GPT-NeoX": neox}


def measure(
    device: torch.device,
    of: str,
    vocab_size: int,
    target: float,
    n_peer: int,
    rounds: int = ROUNDS,
    **sizes: int,
) -> Result:
    """Speed against the peer, which takes ``n_peer`` tokens."""
    model, input_ids = MODELS[of](vocab_size, **sizes)
    model, input_ids = model.to(device), input_ids.to(device)
    every = every_token(input_ids)
    some = every[np.linspace(0, len(every) - 1, n_peer).astype(int)]
    whole_model = getattr(model, "_whole", model)
    ours = LayerGradients(model).absolute_sums(input_ids, some, **PIECES)
    peer = one_by_one(whole_model, input_ids, some, "sequence")
    # A bias of keys has no gradient, but that of rounding.
    apart = sum(float((ours[n] - g).abs().sum()) for n, g in peer.items())
    whole = sum(float(g.sum()) for g in peer.values())
    agreement = check("relative difference of all sums", apart / whole, 1e-5)
    calls: list[Callable[[], object]] = [
        lambda: LayerGradients(model).absolute_sums(input_ids, **PIECES),
        lambda: one_by_one(whole_model, input_ids, every[:0], "sequence"),
        lambda: one_by_one(whole_model, input_ids, some, "sequence"),
    ]
    by_layers, forward, both = alternate(calls, rounds).T
    one_by_one_all = forward + (both - forward) * len(every) / len(some)
    return Result(
        name=f"gradients by layers, V = {vocab_size}, {of}",
        peer=PEER,
        ours=OURS,
        unit="x the peer's speed",
        **spread(one_by_one_all / by_layers),
        target=f">= {target}",
        agreement=agreement,
        note=f"peer's {len(some)} backward passes scaled up; {input_ids.shape[0]} x "
        f"{input_ids.shape[1]} tokens, d = {model.table.shape[1]} "
        + absolute(device, ours=by_layers, peer=one_by_one_all),
        device=describe(device),
    )


def prepare(side: str, of: str, vocab_size: int) -> Callable[[], object]:
    """A side's work, for a process of its own: our sums, or the passes of a chunk of sequences."""

    def work(model: LanguageModel, input_ids: Tensor) -> None:
        if side == "ours":
            LayerGradients(model).absolute_sums(input_ids[:1], **PIECES)
        else:
            chunk = input_ids[:1].expand(PIECES["chunk"], -1)
            token_losses(model.logits(model.hidden(chunk)), chunk).sum().backward()

    work(*MODELS[of](64, d_model=16))  # libraries are loaded on first use
    model, input_ids = MODELS[of](vocab_size)
    return lambda: work(model, input_ids)


def measure_memory(of: str, vocab_size: int) -> Result:
    """Peak memory above the model over that of a forward and backward pass of a chunk."""
    peaks = {side: peak_memory(prepare, side, of, vocab_size) for side in ("ours", "peer")}
    return Result(
        name=f"memory of gradients by layers, V = {vocab_size}, {of}",
        peer="a forward and backward pass over as many copies of a sequence as a chunk has tokens",
        ours=OURS,
        unit="of its memory above the model, at its peak",
        **spread(np.array([peaks["ours"] / peaks["peer"]])),
        target="<= 1.5",
        agreement="as of the speed",
        note=f"{peaks['ours'] / 2**20:.0f} MiB, the sums included, against "
        f"{peaks['peer'] / 2**20:.0f} MiB",
        device=describe(torch.device("cpu")),
    )


if __name__ == "__main__":
    main(
        lambda device: [
            measure(device, "OLMo", SMALL, 3, n_peer=64),
            measure(device, "OLMo", LARGE, 15, n_peer=16),
            measure(device, "GPT-NeoX", SMALL, 2, n_peer=64),
            measure(device, "GPT-NeoX", LARGE, 10, n_peer=16),
            measure_memory("OLMo", SMALL),
            measure_memory("OLMo", LARGE),
        ]
    )
