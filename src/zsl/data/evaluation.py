"""The evaluation set: passages held out of the training text, or text of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from zsl.config.schema import Corpus
from zsl.config.sources import MemmapSource, Source
from zsl.data.manifest import SourceReport
from zsl.data.memmaps import Vocabulary, plan_memmaps, read_memmaps
from zsl.data.packing import pack_until
from zsl.data.sources import Place
from zsl.data.text import Gathered, gather_texts
from zsl.errors import DataError


@dataclass(frozen=True)
class Evaluation:
    """Tokens of the evaluation set."""

    tokens: npt.NDArray[np.uint32]
    """(sequences * sequence_length,) ids, documents back to back."""
    reports: tuple[SourceReport, ...]
    """Of the evaluation sources, if there are any."""
    held_out: npt.NDArray[np.int64]
    """Passages of the training text that the evaluation set has taken."""


def make_evaluation(
    name: str,
    corpus: Corpus,
    training: Gathered | None,
    place: Place,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
) -> Evaluation:
    """Fill the evaluation set of corpus ``name`` and cut it at its size.

    Without ``eval_sources`` passages are taken from the training text in the order of their
    keyed digests, which depends on nothing but the seed and each text. Raises DataError if there
    is too little text or none.
    """
    wanted = corpus.evaluation
    tokens = wanted.sequences * wanted.sequence_length
    if corpus.eval_sources:
        evaluation = _from_sources(corpus, tokens, place, tokenizer, vocabulary)
    elif training is None:
        raise DataError(
            f"corpus {name}: all training sources are memmaps, of which no passages can be held "
            "out; give eval_sources"
        )
    else:
        order = training.by_digest
        batches = training.passages.batches(order, 4 * tokens)
        ids, used = pack_until(tokens, batches, tokenizer, vocabulary.eos)
        evaluation = Evaluation(ids, (), order[:used])
    if len(evaluation.tokens) < tokens:
        raise DataError(
            f"corpus {name}: the evaluation set needs {wanted.sequences} sequences of "
            f"{wanted.sequence_length} tokens ({tokens:,}), its sources have "
            f"{len(evaluation.tokens):,}; lower evaluation.sequences or add text"
        )
    return evaluation


def _from_sources(
    corpus: Corpus, tokens: int, place: Place, tokenizer: Tokenizer, vocabulary: Vocabulary
) -> Evaluation:
    """Documents of the evaluation sources in the order declared, until there are enough."""
    parts: list[npt.NDArray[np.uint32]] = []
    reports: list[SourceReport] = []
    missing = tokens
    for source in corpus.eval_sources:
        if missing == 0:
            break
        ids, report = _from_source(source, corpus, missing, place, tokenizer, vocabulary)
        parts.append(ids)
        reports.append(report)
        missing -= len(ids)
    return Evaluation(np.concatenate(parts), tuple(reports), np.zeros(0, np.int64))


def _from_source(
    source: Source,
    corpus: Corpus,
    tokens: int,
    place: Place,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
) -> tuple[npt.NDArray[np.uint32], SourceReport]:
    if isinstance(source, MemmapSource):
        return read_memmaps(plan_memmaps(source, place), vocabulary, place, tokens)
    gathered = gather_texts([source], "eval", corpus, place)
    assert gathered is not None
    batches = gathered.passages.batches(gathered.in_order, 4 * tokens)
    ids, used = pack_until(tokens, batches, tokenizer, vocabulary.eos)
    return ids, replace(gathered.reports[0], held_out=used)
