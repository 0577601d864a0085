"""Keep a stream of training tokens free of every window of the evaluation tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.uint32]
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_BLOCK = 1 << 15  # tokens hashed together, few enough for the cache


def window_hashes(tokens: npt.NDArray[Any], window: int) -> npt.NDArray[np.uint64]:
    """64-bit hash of each window, (tokens - window + 1,): equal windows have equal hashes."""
    count = max(0, len(tokens) - window + 1)
    hashes = np.empty(count, dtype=np.uint64)
    for low in range(0, count, _BLOCK):
        mixed = tokens[low : low + _BLOCK + window - 1].astype(np.uint64) + np.uint64(1)
        mixed *= np.uint64(0xD6E8FEB86659FD93)
        mixed ^= mixed >> np.uint64(32)
        block = hashes[low : low + _BLOCK]
        block[:] = mixed[: len(block)]
        for shift in range(1, window):
            block *= _MULTIPLIER
            block += mixed[shift : shift + len(block)]
    return hashes


def _telling(tokens: npt.NDArray[Any], window: int, unknown: int) -> npt.NDArray[np.bool_]:
    """Which windows are known tokens for the most part, (tokens - window + 1,)."""
    before = np.concatenate([[0], np.cumsum(tokens == unknown)])
    return 2 * (before[window:] - before[:-window]) <= window


class WindowSet:
    """The windows of a token sequence, by their hashes.

    A foreign window is taken for a member with a chance of about windows / 2^64; a member is
    always found. Windows that are the token ``unknown`` for the most part are not members: it
    stands for any text that a tokenizer does not know, so equal ones need not be equal text, and
    a passage in a foreign script would be in every other one. Runs of a known token are members,
    since their text is the same.
    """

    def __init__(self, tokens: npt.NDArray[Any], window: int, unknown: int | None = None) -> None:
        self.window = window
        hashes = window_hashes(tokens, window)
        if unknown is not None and len(hashes):
            hashes = hashes[_telling(tokens, window, unknown)]
        self._hashes = np.unique(hashes)
        bits = max(16, len(self._hashes).bit_length() + 5)
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << bits, dtype=bool)
        self._table[self._hashes >> self._shift] = True

    def starts_in(self, tokens: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Positions in ``tokens`` at which a window of the set starts, ascending."""
        hashes = window_hashes(tokens, self.window)
        candidates = np.flatnonzero(self._table[hashes >> self._shift])
        if not len(candidates):
            return candidates
        wanted = hashes[candidates]
        found = np.searchsorted(self._hashes, wanted)
        found[found == len(self._hashes)] = 0
        return candidates[self._hashes[found] == wanted]


class OverlapFilter:
    """Admit documents to a stream one after the other unless the stream would then hold a
    window of the evaluation tokens, within the document or across its junction with what was
    admitted before; ``unknown`` as for :class:`WindowSet`. The outcome does not depend on how the
    documents are batched."""

    def __init__(
        self, evaluation: npt.NDArray[Any], window: int, unknown: int | None = None
    ) -> None:
        self._windows = WindowSet(evaluation, window, unknown)
        self._keep = window - 1
        self._tail: Tokens = np.zeros(0, dtype=np.uint32)

    def admit(self, tokens: Tokens, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of the next documents are admitted, (documents,).

        ``tokens`` are the documents back to back, each with the EOS that ends it; ``lengths``
        (documents,) their tokens.
        """
        admitted = np.ones(len(lengths), dtype=bool)
        ends = np.cumsum(lengths)
        starts = self._windows.starts_in(tokens)
        first = np.searchsorted(ends, starts, side="right")
        last = np.searchsorted(ends, starts + self._keep, side="right")
        admitted[last[first == last]] = False
        kept = np.flatnonzero(admitted)
        clean = tokens if admitted.all() else tokens[np.repeat(admitted, lengths)]
        stream = np.concatenate([self._tail, clean])
        bounds = np.concatenate([[0], np.cumsum(lengths[kept])]) + len(self._tail)
        dropped = self._dropped_at_junctions(stream, bounds)
        admitted[kept[dropped]] = False
        if dropped:
            gone = np.zeros(len(stream), dtype=bool)
            for number in dropped:
                gone[bounds[number] : bounds[number + 1]] = True
            stream = stream[~gone]
        self._tail = stream[len(stream) - min(self._keep, len(stream)) :].copy()
        return admitted

    def _dropped_at_junctions(self, stream: Tokens, bounds: npt.NDArray[np.int64]) -> list[int]:
        """Documents of ``stream``, cut at ``bounds``, that make a window with what is admitted
        before them. Dropping one makes a new junction, which may make or undo a window."""
        hits = self._windows.starts_in(stream) + self._keep
        suspects = iter(np.unique(np.searchsorted(bounds, hits, side="right") - 1).tolist())
        dropped: list[int] = []
        number = 0
        before: Tokens | None = None  # what precedes, where it is not what ``stream`` has there
        while before is None or number < len(bounds) - 1:
            if before is None:  # nothing can happen up to the next suspect
                number = next((suspect for suspect in suspects if suspect >= number), -1)
                if number < 0:
                    break
            begin, end = bounds[number], bounds[number + 1]
            context = stream[max(0, begin - self._keep) : begin] if before is None else before
            joined = np.concatenate([context, stream[begin : min(end, begin + self._keep)]])
            if len(self._windows.starts_in(joined)):
                dropped.append(number)
                before = context
            elif end - begin >= self._keep:
                before = None
            elif before is not None:
                before = joined[len(joined) - min(self._keep, len(joined)) :]
            number += 1
        return dropped
