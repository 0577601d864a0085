"""Which sequences a step reads: one shuffle, shared by all runs of a corpus and length."""

from __future__ import annotations

import numpy as np
from olmo.data import IterableDataset


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


def batch_indices(order: np.ndarray, step: int, batch_size: int) -> np.ndarray:
    """Indices of the sequences that the update making ``step`` reads, (batch_size,)."""
    return order[(step - 1) * batch_size : step * batch_size]
