"""The model and the sequences that the measurements are timed on."""

from __future__ import annotations

import torch
from olmo.model import OLMo
from torch import Tensor

from zsl.config.schema import Run
from zsl.config.sources import TrainedTokenizer
from zsl.training.model import build_model

SMALL, LARGE = 2048, 50304
"""Sizes of the vocabulary: a trial's, and the paper's."""


def model_and_tokens(
    vocab_size: int, d_model: int = 128, n_layers: int = 4, sequences: int = 4, positions: int = 128
) -> tuple[OLMo, Tensor]:
    """An untrained model of the paper's kind on the CPU, and random ``input_ids`` (sequences,
    positions) for it."""
    settings = {
        "corpus": "none",
        "model": {"d_model": d_model, "n_layers": n_layers, "n_heads": 4},
        "sequence_length": positions,
        "batch_size": sequences,
        "steps": 1,
        "optimizer": {"learning_rate": 1e-3},
        "schedule": {"warmup_steps": 1},
        "checkpoints": {"first_segment": 1},
        "seed": 0,
    }
    tokenizer = TrainedTokenizer(kind="bpe", vocab_size=vocab_size)
    model = build_model(Run.model_validate(settings), tokenizer).eval()
    generator = torch.Generator().manual_seed(0)
    return model, torch.randint(vocab_size, (sequences, positions), generator=generator)
