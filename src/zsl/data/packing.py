"""Documents to token ids, back to back, each ended by EOS."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from zsl.data.tokenizer import encode

BATCH = 1 << 20
"""Characters encoded at a time."""
AHEAD = 2


@dataclass(frozen=True)
class Packed:
    """Documents as tokens."""

    tokens: npt.NDArray[np.uint32]
    """The documents back to back, each with the EOS that ends it."""
    lengths: npt.NDArray[np.int64]
    """(documents,) tokens of each, EOS included."""


def token_dtype(vocab_size: int) -> str:
    """Smallest number format that holds ids below ``vocab_size``."""
    return "uint16" if vocab_size <= 1 << 16 else "uint32"


def pack(texts: list[str], tokenizer: Tokenizer, eos: int) -> Packed:
    """Encode documents on all cores; the ids do not depend on how many there are."""
    return _packed(encode(tokenizer, texts), eos)


def packed_batches(
    batches: Iterable[list[str]], tokenizer: Tokenizer, eos: int
) -> Iterator[Packed]:
    """Encode batch after batch, ``AHEAD`` batches ahead of the reader: the next one fills the
    cores that the last documents of a batch leave idle."""
    with ThreadPoolExecutor(AHEAD) as pool:
        jobs: deque[Future[list[Encoding]]] = deque()
        for batch in batches:
            jobs.append(pool.submit(encode, tokenizer, batch))
            if len(jobs) > AHEAD:
                yield _packed(jobs.popleft().result(), eos)
        while jobs:
            yield _packed(jobs.popleft().result(), eos)


def _packed(encodings: list[Encoding], eos: int) -> Packed:
    tokens, lengths = array("I"), array("q")
    for encoding in encodings:
        ids = encoding.ids
        ids.append(eos)
        tokens.fromlist(ids)
        lengths.append(len(ids))
    return Packed(np.array(tokens, dtype=np.uint32), np.array(lengths, dtype=np.int64))


def pack_until(
    tokens: int, batches: Iterable[list[str]], tokenizer: Tokenizer, eos: int
) -> tuple[npt.NDArray[np.uint32], int]:
    """Pack documents until there are ``tokens`` ids, and cut there.

    Returns the ids, fewer where the documents do not suffice, and how many documents they are
    of.
    """
    parts = [np.zeros(0, np.uint32)]
    have = used = 0
    for packed in packed_batches(batches, tokenizer, eos):
        parts.append(packed.tokens)
        ends = have + np.cumsum(packed.lengths)
        used += min(len(ends), int(np.searchsorted(ends, tokens)) + 1)
        have = int(ends[-1])
        if have >= tokens:
            break
    return np.concatenate(parts)[:tokens], used
