"""The model and the sequences that the measurements are timed on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zsl.config.schema import Run
from zsl.config.sources import TrainedTokenizer
from zsl.models.olmo.adapter import Olmo
from zsl.models.olmo.build import build_model

SMALL, LARGE = 2048, 50304
"""Sizes of the vocabulary: a trial's, and the paper's."""


def run_settings(
    sequences: int, positions: int, *, d_model: int = 128, n_layers: int = 4, n_heads: int = 4
) -> Run:
    """A run of the paper's kind, of batches of ``sequences`` of ``positions`` tokens."""
    settings: dict[str, Any] = {
        "corpus": "none",
        "model": {"d_model": d_model, "n_layers": n_layers, "n_heads": n_heads},
        "sequence_length": positions,
        "batch_size": sequences,
        "steps": 1024,
        "optimizer": {"learning_rate": 7e-3},
        "schedule": {"warmup_steps": 32},
        "checkpoints": {"first_segment": 1024},
        "seed": 0,
    }
    return Run.model_validate(settings)


def model_and_tokens(
    vocab_size: int, *, sequences: int = 4, positions: int = 128, **model: int
) -> tuple[Olmo, Tensor]:
    """An untrained model on the CPU, and random ``input_ids`` (sequences, positions) for it."""
    tokenizer = TrainedTokenizer(kind="bpe", vocab_size=vocab_size)
    network = build_model(run_settings(sequences, positions, **model), tokenizer).eval()
    generator = torch.Generator().manual_seed(0)
    return network, torch.randint(vocab_size, (sequences, positions), generator=generator)
