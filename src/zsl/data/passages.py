"""Distinct passages of a corpus, kept on disk while the corpus is made.

Memory is 32 bytes a passage: a 16-byte digest, an offset and a length. The digest is keyed by the
corpus' seed; sorting by it finds duplicates and gives a random order that depends on nothing
but seed and text.
"""

from __future__ import annotations

import hashlib
import mmap
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt


class PassageWriter:
    """Append texts to a file; ``close`` or the end of a ``with`` block makes it readable."""

    def __init__(self, path: Path, seed: int = 0) -> None:
        self.path = path
        self._file = path.open("wb", buffering=1 << 20)
        self._key = str(seed).encode()
        self._digests = bytearray()
        self._ends = array("q")
        self._characters = array("I")
        self._end = 0

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, text: str) -> None:
        """Append one text. Raises UnicodeEncodeError for lone surrogates."""
        data = text.encode()
        self._digests += hashlib.blake2b(data, digest_size=16, key=self._key).digest()
        self._file.write(data)
        self._end += len(data)
        self._ends.append(self._end)
        self._characters.append(len(text))

    def __enter__(self) -> PassageWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def passages(self) -> Passages:
        """What was written."""
        self._file.close()
        ends = np.array(self._ends, dtype=np.int64)
        characters = np.array(self._characters, dtype=np.int64)
        digests = np.frombuffer(bytes(self._digests), dtype=">u8").astype(np.uint64)
        return Passages(self.path, ends, characters, digests.reshape(-1, 2))


@dataclass(frozen=True)
class Passages:
    """Texts on disk, reached by their number."""

    path: Path
    ends: npt.NDArray[np.int64]
    """(passages,), byte offset of the end of each text."""
    characters: npt.NDArray[np.int64]
    """(passages,), characters of each text."""
    digests: npt.NDArray[np.uint64]
    """(passages, 2), keyed digest of each text."""

    def __len__(self) -> int:
        return len(self.ends)

    def texts(self, numbers: npt.NDArray[np.int64]) -> Iterator[str]:
        """Texts with these numbers, in this order."""
        if not len(numbers):
            return
        if not self.ends[-1]:
            yield from ("" for _ in numbers)
            return
        starts = np.concatenate([[0], self.ends[:-1]])
        with self.path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            for low in range(0, len(numbers), 4096):
                some = numbers[low : low + 4096]
                for start, end in zip(starts[some].tolist(), self.ends[some].tolist(), strict=True):
                    yield data[start:end].decode()
        finally:
            data.close()

    def batches(self, numbers: npt.NDArray[np.int64], size: int) -> Iterator[list[str]]:
        """Texts in lists of about ``size`` characters."""
        batch: list[str] = []
        characters = 0
        for text in self.texts(numbers):
            batch.append(text)
            characters += len(text)
            if characters >= size:
                yield batch
                batch, characters = [], 0
        if batch:
            yield batch

    def by_digest(self, distinct: bool) -> npt.NDArray[np.int64]:
        """Numbers of the passages in the order of their digests; of equal texts, the one
        written first comes first, and is the only one when ``distinct``."""
        order = np.lexsort((self.digests[:, 1], self.digests[:, 0]))
        if distinct and len(order):
            ordered = self.digests[order]
            first = np.ones(len(order), dtype=bool)
            first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
            order = order[first]
        return order


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
