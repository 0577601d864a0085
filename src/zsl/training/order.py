"""Which sequences a step reads: one shuffle, shared by runs of a corpus and length, or draws."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from olmo.data import IterableDataset

from zsl.config.schema import Run
from zsl.files import sha256_of_json


@dataclass(frozen=True)
class Draws:
    """Sequences drawn with replacement, each step's from a generator of its own."""

    n_sequences: int
    """Sequences to draw from."""
    seed: int
    """With the step, the seed of a step's draws."""

    def __len__(self) -> int:
        """Number of sequences to draw from."""
        return self.n_sequences

    def batch(self, step: int, batch_size: int) -> np.ndarray:
        """Indices that the update making ``step`` reads, (batch_size,) int64."""
        return np.random.default_rng([self.seed, step]).integers(self.n_sequences, size=batch_size)


Order = np.ndarray | Draws
"""Indices of all sequences as they are read, (n_sequences,), or how they are drawn."""


def run_order(run: Run, n_sequences: int, seed: int) -> Order:
    """The order in which a run reads the ``n_sequences`` sequences of its corpus."""
    if run.sampling == "offsets":
        return Draws(n_sequences, seed)
    return data_order(n_sequences, seed)


def data_order(n_sequences: int, seed: int) -> np.ndarray:
    """Order in which the corpus' sequences are read, (n_sequences,) uint32.

    OLMo's own: a PCG64(seed) shuffle of the fixed-length chunks. Step s reads the positions
    (s - 1) * batch_size to s * batch_size - 1 of it.
    """
    dataset = IterableDataset(
        range(n_sequences),  # type: ignore[arg-type]
        global_batch_size=1,
        seed=seed,
        drop_last=True,
        world_size=1,
        rank=0,
        fs_local_rank=0,
    )
    return dataset.get_global_indices()


def order_sha256(order: Order) -> str:
    """Digest of an order: runs that have the same read the same sequences in the same order."""
    if isinstance(order, Draws):
        return sha256_of_json([order.n_sequences, order.seed])
    return hashlib.sha256(np.ascontiguousarray(order, dtype="<u4").tobytes()).hexdigest()


def batch_indices(order: Order, step: int, batch_size: int) -> np.ndarray:
    """Indices of the sequences that the update making ``step`` reads, (batch_size,)."""
    if isinstance(order, Draws):
        return order.batch(step, batch_size)
    return order[(step - 1) * batch_size : step * batch_size]
