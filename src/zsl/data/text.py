"""Text sources to tokens: gather passages, hold some out, pack the others."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer
from tqdm import tqdm

from zsl.data.manifest import SourceReport, Split, TokenFile
from zsl.data.packing import BATCH, packed_batches
from zsl.data.passages import Passages, PassageWriter
from zsl.data.sources import Place, Reading, TextSource, documents, origin_of
from zsl.data.windows import OverlapFilter

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

    def per_source(self, numbers: Numbers) -> list[int]:
        """How many of these passages are of each source."""
        sources = np.searchsorted(self.bounds, numbers, side="right")
        return np.bincount(sources, minlength=len(self.bounds)).tolist()


def gather(
    sources: Sequence[TextSource],
    use: Split,
    place: Place,
    *,
    seed: int,
    distinct: bool,
    skip_broken: bool,
) -> Gathered:
    """Read all documents of ``sources`` into one file of passages. Raises DataError."""
    readings: list[Reading] = []
    bounds: list[int] = []
    with PassageWriter(place.scratch / f"{use}-passages.bin", seed) as writer:
        for source in sources:
            reading = Reading(origin_of(source), stop_at_broken=not skip_broken)
            for document in documents(source, place, reading):
                writer.add(document)
            readings.append(reading)
            bounds.append(len(writer))
        passages = writer.passages()
    by_digest = passages.by_digest(distinct)
    gathered = Gathered(passages, by_digest, np.array(bounds, dtype=np.int64), ())
    kept = gathered.per_source(by_digest)
    reports = []
    for number, (source, reading) in enumerate(zip(sources, readings, strict=True)):
        low, high = (bounds[number - 1] if number else 0), bounds[number]
        mine = by_digest[(by_digest >= low) & (by_digest < high)]
        report = SourceReport(
            use,
            source.kind,
            reading.origin,
            tuple(reading.files),
            documents=high - low,
            characters=int(passages.characters[mine].sum()),
            duplicates=high - low - kept[number],
            broken=reading.broken,
            empty=reading.empty,
        )
        reports.append(report)
    return replace(gathered, reports=tuple(reports))


def fill(
    passages: Passages, numbers: Numbers, tokenizer: Tokenizer, eos: int, tokens: int
) -> tuple[Ids, int]:
    """Pack passages in the order of ``numbers`` until there are ``tokens`` ids, and cut there.

    Returns the ids, fewer where the passages do not suffice, and how many passages were used.
    """
    parts: list[Ids] = []
    have = used = 0
    batches = passages.batches(numbers, min(BATCH, 4 * tokens))
    for packed in packed_batches(batches, tokenizer, eos):
        parts.append(packed.tokens)
        ends = have + np.cumsum(packed.lengths)
        used += min(len(ends), int(np.searchsorted(ends, tokens)) + 1)
        have = int(ends[-1])
        if have >= tokens:
            break
    return np.concatenate([np.zeros(0, np.uint32), *parts])[:tokens], used


@dataclass(frozen=True)
class Written:
    """A training file made from text."""

    file: TokenFile
    documents: int
    """Documents in it."""
    overlapping: Numbers
    """Passages left out because of an evaluation window."""


def write_training(
    path: Path,
    gathered: Gathered,
    numbers: Numbers,
    tokenizer: Tokenizer,
    eos: int,
    *,
    dtype: str,
    overlaps: OverlapFilter,
) -> Written:
    """Pack passages into a headerless file of token ids, without those that overlap with the
    evaluation set."""
    format_ = np.dtype(dtype).newbyteorder("<")
    digest, tokens, position = hashlib.sha256(), 0, 0
    dropped: list[Numbers] = []
    passages = gathered.passages
    characters = int(passages.characters[numbers].sum())
    batches = passages.batches(numbers, BATCH)
    quiet = 0.2 if sys.stderr.isatty() else 10
    with (
        path.open("wb") as file,
        tqdm(
            total=characters, desc="tokenise", unit="char", unit_scale=True, mininterval=quiet
        ) as bar,
    ):
        for packed in packed_batches(batches, tokenizer, eos):
            admitted = overlaps.admit(packed.tokens, packed.lengths)
            mine = numbers[position : position + len(admitted)]
            kept = packed.tokens[np.repeat(admitted, packed.lengths)]
            data = kept.astype(format_).tobytes()
            file.write(data)
            digest.update(data)
            tokens += len(kept)
            dropped.append(mine[~admitted])
            position += len(admitted)
            bar.update(int(passages.characters[mine].sum()))
    overlapping = np.concatenate([np.zeros(0, np.int64), *dropped])
    origin = "text of " + "; ".join(report.origin for report in gathered.reports)
    file_ = TokenFile(path.name, tokens, digest.hexdigest(), origin)
    return Written(file_, position - len(overlapping), overlapping)
