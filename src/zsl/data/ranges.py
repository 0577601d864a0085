"""Sequences of tokens out of files, on servers by HTTP Range requests: no file is read whole.

The files are headerless memmaps of token ids. As in OLMo's ``MemMapDataset``, each is cut into
sequences from its beginning, what is left over at its end belongs to none, and the sequences of all
files are numbered through.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from zsl.data.shards import Shard
from zsl.errors import DataError, PassingError

log = logging.getLogger(__name__)

TIMEOUT = (20, 60)
"""Seconds to wait for a connection, and for the next bytes."""
BUSY = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which a further attempt may succeed."""
LONGEST_WAIT = 60.0
"""Seconds; a server may ask for more."""
MOST = np.iinfo(np.uint32).max - 1
"""Sequences that OLMo shuffles: it numbers them in uint32."""


class UnreachableError(DataError, PassingError):
    """A server cannot be reached or is busy: a further attempt may succeed."""


class ChangedError(DataError):
    """A shard has another size than it had when its sequences were numbered."""


@dataclass(frozen=True)
class Span:
    """Neighbouring bytes of a shard, asked for at once."""

    shard: Shard
    size: int
    """Bytes of the whole shard."""
    start: int
    stop: int
    """Behind the last byte."""


def batch_indices(
    n_sequences: int, seed: int, batch_size: int, first: int, count: int = 1
) -> np.ndarray:
    """Indices of the sequences of batches ``first`` to ``first + count - 1`` in OLMo's own order,
    (count * batch_size,) int64.

    Batches are counted from 0 over all epochs; each epoch is a shuffle of its own, PCG64(seed +
    epoch), and leaves out what makes no whole batch at its end. The update that makes step t reads
    batch t - 1. A shuffle takes 4 bytes of memory for each of the ``n_sequences``: 5 GB for the
    1.3e9 of 1,024 tokens that OLMo's mix has. Raises DataError where there are too few sequences,
    or more than OLMo numbers.
    """
    from zsl.training.order import data_order  # loads torch, which no other text needs

    if not 0 < batch_size <= n_sequences:
        raise DataError(f"batches of {batch_size:,} sequences cannot be made of {n_sequences:,}")
    if n_sequences > MOST:
        raise DataError(f"{n_sequences:,} sequences are more than the {MOST:,} that OLMo shuffles")
    per_epoch = n_sequences // batch_size
    parts = []
    for epoch in range(first // per_epoch, (first + count - 1) // per_epoch + 1):
        log.info(
            "shuffling %s sequences as in epoch %s takes %s MB of memory",
            f"{n_sequences:,}",
            epoch,
            f"{4 * n_sequences / 1e6:,.0f}",
        )
        start = max(first - epoch * per_epoch, 0)
        stop = min(first + count - epoch * per_epoch, per_epoch)
        order = data_order(n_sequences, seed + epoch)
        parts.append(order[start * batch_size : stop * batch_size].astype(np.int64))
    return np.concatenate(parts)


def sampled_indices(n_sequences: int, seed: int, count: int) -> np.ndarray:
    """Indices of different sequences, each as likely as any other, (count,) int64; no shuffle of
    all of them is made."""
    if not 0 < count <= n_sequences:
        raise DataError(f"{count:,} of {n_sequences:,} sequences cannot be drawn")
    return np.random.default_rng(seed).choice(n_sequences, count, replace=False)


class RangedTokens:
    """The sequences of shards, read when they are asked for (``zsl.training.loader.Tokens``)."""

    def __init__(
        self,
        shards: Sequence[Shard],
        length: int,
        *,
        dtype: str = "uint16",
        vocabulary: int | None = None,
        client: Ranges | None = None,
    ) -> None:
        """``length``: tokens of a sequence. ``vocabulary``: ids have to be below this."""
        self.shards, self.length, self.vocabulary = list(shards), length, vocabulary
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.client = client or Ranges()
        self.bytes_read = 0
        """Bytes of tokens that came so far."""
        counts = [shard.tokens // length for shard in self.shards]
        self._ends = np.cumsum(counts, dtype=np.int64)

    @property
    def _bytes(self) -> int:
        return self.length * self.dtype.itemsize

    def __len__(self) -> int:
        """Number of sequences."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def span(self, run: Sequence[int]) -> Span:
        """Where sequences that follow one another in one shard lie.

        Raises DataError where there are none of these indices.
        """
        if not (run[0] >= 0 and run[-1] < len(self)):
            raise DataError(f"there is no sequence {run[-1]:,} among {len(self):,}")
        number = int(np.searchsorted(self._ends, run[0], side="right"))
        before = int(self._ends[number - 1]) if number else 0
        shard, start = self.shards[number], (run[0] - before) * self._bytes
        size = shard.tokens * self.dtype.itemsize
        return Span(shard, size, start, start + len(run) * self._bytes)

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """Sequences of ``indices``, (sequences, positions) int64.

        Raises DataError where a server does not give them, or they are no ids.
        """
        ids: dict[int, np.ndarray] = {}
        runs = list(self._runs(sorted({int(index) for index in indices})))
        spans = [self.span(run) for run in runs]
        for run, span, data in zip(runs, spans, self.client.read(spans), strict=True):
            self.bytes_read += len(data)
            rows = np.frombuffer(data, self.dtype).reshape(len(run), self.length)
            if self.vocabulary is not None and not 0 <= rows.min() <= rows.max() < self.vocabulary:
                wrong = rows.min() if rows.min() < 0 else rows.max()
                raise DataError(
                    f"{span.shard.origin}: sequence {run[0]:,} has id {wrong:,}, none of the "
                    f"vocabulary's {self.vocabulary:,}; the tokens are those of another tokenizer, "
                    f"or not {self.dtype.name}"
                )
            ids |= dict(zip(run, rows.astype(np.int64), strict=True))
        return np.stack([ids[int(index)] for index in indices])

    def _runs(self, indices: list[int]) -> Iterator[list[int]]:
        """Sorted indices, those together that lie next to one another in a file."""
        run: list[int] = []
        for index in indices:
            if run and (index != run[-1] + 1 or index in self._ends):
                yield run
                run = []
            run.append(index)
        if run:
            yield run


class Ranges:
    """Asks servers for parts of files, several at a time."""

    def __init__(self, workers: int = 16, attempts: int = 5, wait: float = 1.0) -> None:
        """``wait``: seconds before the second attempt, doubled each time."""
        self.workers, self.attempts, self.wait = workers, attempts, wait
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=workers))

    def sizes(self, urls: Sequence[str]) -> list[int]:
        """Bytes of the files at addresses; one byte of each is read."""
        with ThreadPoolExecutor(self.workers) as pool:
            return [size for _, size in pool.map(lambda url: self._ask(url, 0, 1), urls)]

    def read(self, spans: Sequence[Span]) -> list[bytes]:
        """The bytes of each span. Raises DataError, ChangedError where a shard has another size
        than it had."""
        with ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(self._span, spans))

    def _span(self, span: Span) -> bytes:
        if span.shard.path is not None:
            data, size = _read(span.shard.path, span.start, span.stop)
        else:
            data, size = self._ask(span.shard.origin, span.start, span.stop)
        if size != span.size:
            raise ChangedError(
                f"{span.shard.origin}: has {size:,} bytes, not the {span.size:,} that it had; "
                "it changed, and with it the numbers of all sequences"
            )
        return data

    def _ask(self, url: str, start: int, stop: int) -> tuple[bytes, int]:
        """The bytes from ``start`` up to ``stop``, and the size of the file."""
        reason, wait = "", self.wait
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(min(wait, LONGEST_WAIT))
                wait *= 2
            try:
                with self._session.get(
                    url,
                    headers={"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"},
                    timeout=TIMEOUT,
                    stream=True,
                ) as answer:
                    if answer.status_code in BUSY:
                        reason = f"the server answered {answer.status_code}"
                        if (asked := answer.headers.get("Retry-After", "")).isdecimal():
                            wait = float(asked)
                        continue
                    size = _size(answer, url, start, stop)
                    data = answer.raw.read(stop - start + 1, decode_content=False)
                    if len(data) == stop - start:
                        return data, size
                    reason = f"{len(data):,} bytes came instead of {stop - start:,}"
            except (requests.RequestException, HTTPError, OSError) as error:
                reason = f"{type(error).__name__} ({error!s:.200})"
        raise UnreachableError(
            f"{url}: {reason}, {self.attempts} times; check the network and run again"
        )


def _read(path: Path, start: int, stop: int) -> tuple[bytes, int]:
    """As ``Ranges._ask``, of a file that is here."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(stop - start), os.fstat(file.fileno()).st_size


def _size(answer: requests.Response, url: str, start: int, stop: int) -> int:
    """Size of the file. Raises DataError where the answer is not what was asked for."""
    if answer.status_code == 200:
        raise DataError(
            f"{url}: the server does not answer Range requests but with the whole file, which was "
            "not read; name another server, or fetch the file"
        )
    if answer.status_code != 206:
        gone = "; the file has no such bytes, it changed" if answer.status_code == 416 else ""
        raise DataError(f"{url}: the server answered {answer.status_code}{gone}")
    told = answer.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", told)
    if match is None or (int(match[1]), int(match[2])) != (start, stop - 1):
        raise DataError(
            f"{url}: asked for bytes {start}-{stop - 1}, got {told!r:.80}; the file changed, or "
            "the server does not know Range requests"
        )
    return int(match[3])
