"""Bytes on disk and over the network, from settings alone."""

from __future__ import annotations

from zsl.config.measurements import Measurements
from zsl.config.parameters import n_parameters
from zsl.config.schema import Corpus, Optimizer, Run
from zsl.config.sources import MemmapSource
from zsl.planning.flops import Sequences, asked, places

FLOAT = 4
"""Bytes of a float32."""
RANDOM_STATE = 5056
"""Bytes of the state of torch's generator for CPUs, part of a checkpoint."""
COMPRESSED = 0.8
"""What shuffling and gzip leave of float32 losses: .77 of cross-sections to .86 of changes of
loss, as the default experiment wrote them."""
STEP_RECORD = 48
"""Bytes of a step in the record of training losses."""
DATASET = 700
"""Bytes of a small dataset with its attributes and chunk index."""
TOKEN = {"uint16": 2, "uint32": 4}


def states(optimizer: Optimizer, each: Sequences) -> float:
    """Values that the optimizer keeps for a weight, on average over all weights."""
    if optimizer.name == "ademamix":
        return 3
    if optimizer.name == "muon":  # momentum alone for the blocks' matrices
        of_blocks = each.model.n_layers * each.block_weights
        return 2 - of_blocks / n_parameters(each.model, each.rows, each.length)
    return 2


def checkpoint(run: Run, rows: int, step: int) -> float:
    """A checkpoint: float32 weights, the optimizer's states once it has any, random state."""
    each = Sequences(run.model, rows, run.sequence_length)
    of_optimizer = states(run.optimizer, each) if step > 0 else 0
    n = n_parameters(run.model, rows, run.sequence_length)
    return FLOAT * n * (1 + of_optimizer) + RANDOM_STATE


def measurement(name: str, run: Run, corpus: Corpus, settings: Measurements) -> float:
    """The HDF5 group of a measurement of one checkpoint, or of one interval of ``delta_loss``."""
    evaluation = corpus.evaluation
    predictions = evaluation.sequence_length - 1
    tokens = evaluation.sequences * predictions
    if name in ("token_losses", "delta_loss"):
        return FLOAT * COMPRESSED * tokens + DATASET
    if name == "single_step":
        trained = run.batch_size * (run.sequence_length - 1)
        values = settings.single_step.batches * (tokens + trained)
        return FLOAT * COMPRESSED * values + 12 * DATASET
    if name == "cross_section":
        chosen = settings.cross_section
        # First-order changes, in float64, and those by forward differences are stored, too.
        values = (places(chosen) + 3) * chosen.sequences * predictions
        return FLOAT * COMPRESSED * values + 15 * DATASET
    if name == "token_gradients":
        return 2 * FLOAT * settings.token_gradients.sequences * predictions + 16 * DATASET
    if name == "downstream":
        # Of each item log-likelihoods and characters of its choices, number, label and a flag.
        found = asked(settings.downstream)
        values = sum(n * (2 * FLOAT * task.choices + 17) for task, n in found)
        return COMPRESSED * values + 8 * DATASET * len(found)
    return 7 * DATASET


def tokens_of(corpus: Corpus) -> float | None:
    """Training tokens that are downloaded and kept; None where only the sources can tell."""
    sizes = [s.subset_tokens if isinstance(s, MemmapSource) else None for s in corpus.train]
    return None if None in sizes else float(sum(size or 0 for size in sizes))


def downloaded(corpus: Corpus) -> float | None:
    """Bytes of the training text that come over the network: 0 where all of it is local; None
    where only the server can tell."""
    total = 0.0
    for source in corpus.train:
        if isinstance(source, MemmapSource) and source.subset_tokens and not source.paths:
            total += TOKEN[source.dtype] * source.subset_tokens
        elif source.kind == "huggingface" or any(
            getattr(source, remote, None) for remote in ("remote", "shards")
        ):
            return None
    return total
