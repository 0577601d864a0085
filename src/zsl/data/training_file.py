"""The training file of text: packed, and free of what the evaluation set and tasks hold."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer
from tqdm import tqdm

from zsl.data.evaluation import Evaluation
from zsl.data.manifest import SourceReport, TokenFile
from zsl.data.memmaps import Counts, Vocabulary
from zsl.data.packing import BATCH, packed_batches
from zsl.data.text import Gathered
from zsl.data.tokenizer import unknown_id
from zsl.data.windows import OverlapFilter


@dataclass(frozen=True)
class Written:
    """A training file made from text."""

    file: TokenFile
    documents: int
    """Documents in it."""
    reports: tuple[SourceReport, ...]
    """Of its sources, now with the documents held out and left out."""
    counts: Counts
    """Of its ids."""


def write_training(
    path: Path,
    gathered: Gathered,
    evaluation: Evaluation,
    excluded: npt.NDArray[np.uint32],
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    window: int,
) -> Written:
    """Pack the passages that are not held out into a headerless file of token ids.

    A document is left out if the tokens would otherwise hold a window of ``window`` tokens of
    the evaluation set or of ``excluded`` (tokens,), most of which the tokenizer knows. Memory is
    that of a few batches.
    """
    numbers = np.setdiff1d(gathered.in_order, evaluation.held_out, assume_unique=True)
    characters = gathered.passages.characters
    held = np.concatenate([evaluation.tokens, excluded])
    overlaps = OverlapFilter(held, window, unknown_id(tokenizer))
    format_ = np.dtype(vocabulary.dtype).newbyteorder("<")
    digest, tokens, position = hashlib.sha256(), 0, 0
    counts = np.zeros(vocabulary.size, dtype=np.int64)
    left_out: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
    batches = gathered.passages.batches(numbers, BATCH)
    with path.open("wb") as file, _bar(int(characters[numbers].sum())) as bar:
        for packed in packed_batches(batches, tokenizer, vocabulary.eos):
            admitted = overlaps.admit(packed.tokens, packed.lengths)
            mine = numbers[position : position + len(admitted)]
            kept = packed.tokens[np.repeat(admitted, packed.lengths)]
            data = kept.astype(format_).tobytes()
            file.write(data)
            digest.update(data)
            tokens += len(kept)
            counts += np.bincount(kept, minlength=vocabulary.size)
            position += len(mine)
            left_out.append(mine[~admitted])
            bar.update(int(characters[mine].sum()))
    overlapping = np.concatenate(left_out)
    return Written(
        TokenFile(path.name, tokens, digest.hexdigest(), "text of the training sources"),
        len(numbers) - len(overlapping),
        _counted(gathered, evaluation.held_out, overlapping),
        counts,
    )


def _counted(
    gathered: Gathered, held_out: npt.NDArray[np.int64], overlapping: npt.NDArray[np.int64]
) -> tuple[SourceReport, ...]:
    counts = zip(
        gathered.reports,
        gathered.per_source(held_out),
        gathered.per_source(overlapping),
        strict=True,
    )
    return tuple(replace(report, held_out=held, overlapping=over) for report, held, over in counts)


def _bar(characters: int) -> tqdm:
    return tqdm(
        total=characters,
        desc="tokenise",
        unit="char",
        unit_scale=True,
        file=sys.stderr,
        mininterval=0.2 if sys.stderr.isatty() else 10,
    )
