"""Records with the same value of one field, brought together on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from zsl.data.passages import PassageWriter


def grouped(records: Iterable[tuple[str, str]], folder: Path) -> Iterator[str]:
    """One document per distinct value of ``(value, text)`` pairs: the value, then each distinct
    text of its records in order of appearance, joined by newlines.

    Groups come in the order in which their values first appear. Values and texts wait in two
    files in ``folder``; memory is some 60 bytes a record.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        PassageWriter(folder / "values.bin") as values_out,
        PassageWriter(folder / "texts.bin") as texts_out,
    ):
        last = None
        for pair in records:
            if pair != last:  # task files repeat a record once per answer choice
                values_out.add(pair[0])
                texts_out.add(pair[1])
            last = pair
        values, texts = values_out.passages(), texts_out.passages()
    if not len(values):
        return
    _, first, group = np.unique(values.digests, axis=0, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    # Records sorted by the place where their group first appears; equal groups keep their order.
    order = np.argsort(first[group], kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.diff(starts, append=len(order)).tolist()
    heads = values.texts(order[starts])
    bodies = texts.texts(order)
    for head, size in zip(heads, sizes, strict=True):
        distinct = dict.fromkeys(next(bodies) for _ in range(size))
        yield "\n".join([head, *(body for body in distinct if body)])
