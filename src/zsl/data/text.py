"""Text sources to tokens: gather their passages, pack those that are for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from zsl.config.schema import Corpus
from zsl.config.sources import MemmapSource, Source
from zsl.data.manifest import SourceReport, Split
from zsl.data.passages import Passages, PassageWriter
from zsl.data.sources import Place, Reading, TextSource, documents, origin_of

Numbers = npt.NDArray[np.int64]
Ids = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Gathered:
    """Passages of several sources of text."""

    passages: Passages
    by_digest: Numbers
    """Passages that are kept, in the random but fixed order of their digests."""
    bounds: Numbers
    """(sources,), number of the first passage after each source."""
    reports: tuple[SourceReport, ...]

    @property
    def in_order(self) -> Numbers:
        """Passages that are kept, in the order in which they were read."""
        return np.sort(self.by_digest)

    def per_source(self, numbers: Numbers, values: Numbers | None = None) -> list[int]:
        """How many of these passages are of each source, or the sum of their ``values``."""
        sources = np.searchsorted(self.bounds, numbers, side="right")
        sums = np.zeros(len(self.bounds), dtype=np.int64)
        np.add.at(sums, sources, 1 if values is None else values)
        return sums.tolist()


def gather_texts(
    sources: Sequence[Source], use: Split, corpus: Corpus, place: Place
) -> Gathered | None:
    """Read all documents of those ``sources`` that are text into one file of passages; None if
    there are no such sources. ``corpus`` says how. Raises DataError."""
    texts = [source for source in sources if not isinstance(source, MemmapSource)]
    if not texts:
        return None
    readings: list[Reading] = []
    bounds: list[int] = []
    spool = place.scratch / f"{use}-passages.bin"
    with PassageWriter(spool, corpus.shuffle_seed) as writer:
        for source in texts:
            stop = corpus.broken_records == "stop"
            readings.append(Reading(origin_of(source), stop_at_broken=stop))
            for document in documents(source, place, readings[-1]):
                writer.add(document)
            bounds.append(len(writer))
        passages = writer.passages()
    kept = passages.by_digest(corpus.deduplicate)
    gathered = Gathered(passages, kept, np.array(bounds, dtype=np.int64), ())
    reports = _reports(gathered, texts, use, readings)
    return replace(gathered, reports=reports)


def _reports(
    gathered: Gathered, sources: Sequence[TextSource], use: Split, readings: Sequence[Reading]
) -> tuple[SourceReport, ...]:
    kept = gathered.in_order
    documents_read = np.diff(gathered.bounds, prepend=0).tolist()
    documents_kept = gathered.per_source(kept)
    characters = gathered.per_source(kept, gathered.passages.characters[kept])
    return tuple(
        SourceReport(
            use,
            source.kind,
            reading.origin,
            tuple(reading.files),
            documents=documents_read[number],
            characters=characters[number],
            duplicates=documents_read[number] - documents_kept[number],
            broken=reading.broken,
            empty=reading.empty,
        )
        for number, (source, reading) in enumerate(zip(sources, readings, strict=True))
    )
