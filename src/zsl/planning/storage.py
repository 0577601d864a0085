"""Bytes on disk and over the network, from settings alone."""

from __future__ import annotations

from zsl.config.flops import FLOAT, Sequences
from zsl.config.parameters import n_parameters
from zsl.config.schema import Corpus, Optimizer, Run
from zsl.config.sources import MemmapSource

RANDOM_STATE = 5056
"""Bytes of the state of torch's generator for CPUs, part of a checkpoint."""
STEP_RECORD = 48
"""Bytes of a step in the record of training losses."""
TOKEN = {"uint16": 2, "uint32": 4, "int32": 4, "int64": 8}


def states(optimizer: Optimizer, each: Sequences) -> float:
    """Values that the optimizer keeps for a weight, on average over all weights."""
    n = n_parameters(each.model, each.rows, each.length)
    of_blocks = each.model.n_layers * each.block_weights / n
    return optimizer.moments + (optimizer.moments_of_matrices - optimizer.moments) * of_blocks


def checkpoint(run: Run, rows: int, step: int) -> float:
    """A checkpoint: float32 weights, the states of the optimizer once it has any, what an
    intervention keeps, random state."""
    each = Sequences(run.model, rows, run.sequence_length)
    kept = run.intervention.kept if run.intervention else 0
    of_optimizer = states(run.optimizer, each) + kept if step > 0 else 0
    n = n_parameters(run.model, rows, run.sequence_length)
    return FLOAT * n * (1 + of_optimizer) + RANDOM_STATE


def parameters(run: Run, rows: int) -> int:
    """Parameters of a run's model, embeddings included; of others' models as they are declared."""
    known = run.source.parameters if run.source else None
    return known or n_parameters(run.model, rows, run.sequence_length)


def fetched(run: Run, rows: int, step: int) -> float:
    """A checkpoint of others as it comes: float32 weights, and the optimizer's states if read."""
    if run.source and not run.source.optimizer:
        return float(FLOAT * parameters(run, rows))
    return checkpoint(run, rows, step)


def tokens_of(corpus: Corpus) -> float | None:
    """Training tokens that are downloaded and kept; None where only the sources can tell."""
    sizes = [s.planned_tokens if isinstance(s, MemmapSource) else None for s in corpus.train]
    return None if None in sizes else float(sum(size or 0 for size in sizes))


def downloaded(corpus: Corpus) -> float | None:
    """Bytes of the training text that come over the network: 0 where all of it is local; None
    where only the server can tell."""
    total = 0.0
    for source in corpus.train:
        if isinstance(source, MemmapSource) and source.planned_tokens and not source.paths:
            total += TOKEN[source.dtype] * source.planned_tokens
        elif source.kind == "huggingface" or any(
            getattr(source, remote, None) for remote in ("remote", "shards")
        ):
            return None
    return total
