"""Make a corpus: read its sources, hold out the evaluation set, tokenise, pack, record.

Everything is made in the ``state`` folder and moved to its place by rename at the end. Fetched
files stay in ``state/downloads``, so that an interrupted job goes on with them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from zsl.config.schema import Corpus
from zsl.config.sources import MemmapSource, Source, TrainedTokenizer
from zsl.data import text
from zsl.data.budget import Requirement, check_budget, declaration_digest
from zsl.data.manifest import Manifest, SourceReport, Split, TokenFile, write_manifest
from zsl.data.memmaps import (
    Plan,
    Vocabulary,
    memmap_dtype,
    place_memmaps,
    plan_memmaps,
    read_memmaps,
)
from zsl.data.packing import BATCH, token_dtype
from zsl.data.sources import Place
from zsl.data.tokenizer import declared_tokenizer, save_tokenizer, train_bpe
from zsl.data.windows import OverlapFilter
from zsl.errors import DataError
from zsl.files import sha256

Ids = npt.NDArray[np.uint32]


def build_corpus(
    name: str,
    corpus: Corpus,
    *,
    tokens_folder: Path,
    tokenizer_path: Path,
    manifest_path: Path,
    state: Path,
    root: Path,
    threads: int,
    requirements: Sequence[Requirement] = (),
) -> Manifest:
    """Make the token files, the tokenizer and the manifest of a corpus.

    ``state`` has to be on the file system of the outputs. ``threads`` are used for tokenising
    (the first call of a process decides); the bytes made do not depend on them. Raises DataError
    for sources that are not as declared and, before anything is published, for a corpus too
    small for its runs (``requirements``).
    """
    os.environ.setdefault("RAYON_NUM_THREADS", str(threads))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    with _locked(state):
        build = state / "build"
        shutil.rmtree(build, ignore_errors=True)
        (build / "tokens").mkdir(parents=True)
        place = Place(root, state / "downloads", build / "scratch")
        place.scratch.mkdir()
        manifest = _Maker(name, corpus, place, build).make(requirements)
        write_manifest(build / "manifest.json", manifest)
        _publish(build / "tokens", tokens_folder)
        _publish(build / "tokenizer.json", tokenizer_path)
        _publish(build / "manifest.json", manifest_path)
        shutil.rmtree(build)
    return manifest


@dataclass(frozen=True)
class _Evaluation:
    tokens: Ids
    reports: tuple[SourceReport, ...]
    """Of the sources of evaluation text."""
    held_out: npt.NDArray[np.int64]
    """Passages of the training text that went into the evaluation set."""


@dataclass(frozen=True)
class _Maker:
    """One corpus being made in one folder."""

    name: str
    corpus: Corpus
    place: Place
    folder: Path

    def make(self, requirements: Sequence[Requirement]) -> Manifest:
        """Fill the folder; everything but manifest.json, which is returned."""
        corpus = self.corpus
        plans = [
            plan_memmaps(source, self.place)
            for source in corpus.train
            if isinstance(source, MemmapSource)
        ]
        planned = [shard.tokens for plan in plans for shard in plan.shards]
        if len(plans) == len(corpus.train):
            check_budget(self.name, planned, requirements)  # before gigabytes are fetched
        gathered = self._gather(corpus.train, "train")
        tokenizer = self._tokenizer(gathered)
        smallest = token_dtype(corpus.tokenizer.vocab_size)
        vocabulary = Vocabulary(
            memmap_dtype(plans, smallest),
            corpus.tokenizer.vocab_size,
            corpus.tokenizer.eos_token_id,
        )
        evaluation = self._evaluation(gathered, tokenizer, vocabulary)
        files, reports, documents = self._train_files(
            gathered, plans, evaluation, tokenizer, vocabulary
        )
        check_budget(self.name, [file.tokens for file in files], requirements)
        return Manifest(
            dtype=vocabulary.dtype,
            vocab_size=vocabulary.size,
            eos_token_id=vocabulary.eos,
            sequences=corpus.evaluation.sequences,
            sequence_length=corpus.evaluation.sequence_length,
            train=tuple(files),
            eval=(self._write_evaluation(evaluation, vocabulary),),
            documents=documents,
            sources=(*reports, *evaluation.reports),
            tokenizer_sha256=sha256(self.folder / "tokenizer.json"),
            declaration=declaration_digest(corpus),
        )

    def _gather(self, sources: Sequence[Source], use: Split) -> text.Gathered | None:
        texts = [source for source in sources if not isinstance(source, MemmapSource)]
        if not texts:
            return None
        return text.gather(
            texts,
            use,
            self.place,
            seed=self.corpus.shuffle_seed,
            distinct=self.corpus.deduplicate,
            skip_broken=self.corpus.broken_records == "skip",
        )

    def _tokenizer(self, gathered: text.Gathered | None) -> Tokenizer:
        declared = self.corpus.tokenizer
        if not isinstance(declared, TrainedTokenizer):
            tokenizer = declared_tokenizer(declared, self.place.root, self.place.downloads)
        elif gathered is None:
            raise DataError(
                f"corpus {self.name}: tokenizer kind bpe needs text to be trained on, but all "
                "sources are memmaps; name the tokenizer that made them (olmo or file)"
            )
        else:
            batches = gathered.passages.batches(gathered.in_order, BATCH)
            tokenizer = train_bpe(batches, declared)
        save_tokenizer(tokenizer, self.folder / "tokenizer.json")
        return tokenizer

    def _evaluation(
        self, gathered: text.Gathered | None, tokenizer: Tokenizer, vocabulary: Vocabulary
    ) -> _Evaluation:
        wanted = self.corpus.evaluation
        tokens = wanted.sequences * wanted.sequence_length
        if self.corpus.eval_sources:
            evaluation = self._from_eval_sources(tokens, tokenizer, vocabulary)
        elif gathered is None:
            raise DataError(
                f"corpus {self.name}: all training sources are memmaps, of which no passages can "
                "be held out; give eval_sources"
            )
        else:
            order = gathered.by_digest
            ids, used = text.fill(gathered.passages, order, tokenizer, vocabulary.eos, tokens)
            evaluation = _Evaluation(ids, (), order[:used])
        if len(evaluation.tokens) < tokens:
            raise DataError(
                f"corpus {self.name}: the evaluation set needs {wanted.sequences} sequences of "
                f"{wanted.sequence_length} tokens ({tokens:,}), its sources have "
                f"{len(evaluation.tokens):,}; lower evaluation.sequences or add text"
            )
        return evaluation

    def _from_eval_sources(
        self, tokens: int, tokenizer: Tokenizer, vocabulary: Vocabulary
    ) -> _Evaluation:
        """Passages of the evaluation sources in the order declared, until there are enough."""
        parts: list[Ids] = []
        reports: list[SourceReport] = []
        for source in self.corpus.eval_sources:
            missing = tokens - sum(map(len, parts))
            if missing == 0:
                break
            if isinstance(source, MemmapSource):
                plan = plan_memmaps(source, self.place)
                ids, report = read_memmaps(plan, vocabulary, self.place, missing)
                reports.append(report)
            else:
                gathered = self._gather([source], "eval")
                assert gathered is not None
                numbers, eos = gathered.in_order, vocabulary.eos
                ids, used = text.fill(gathered.passages, numbers, tokenizer, eos, missing)
                reports += [replace(report, held_out=used) for report in gathered.reports]
            parts.append(ids)
        return _Evaluation(np.concatenate(parts), tuple(reports), np.zeros(0, np.int64))

    def _train_files(
        self,
        gathered: text.Gathered | None,
        plans: Sequence[Plan],
        evaluation: _Evaluation,
        tokenizer: Tokenizer,
        vocabulary: Vocabulary,
    ) -> tuple[list[TokenFile], list[SourceReport], int]:
        files: list[TokenFile] = []
        texts: Iterator[SourceReport] = iter(())
        documents = 0
        if gathered is not None:
            written, reports = self._pack(gathered, evaluation, tokenizer, vocabulary)
            files.append(written.file)
            documents, texts = written.documents, iter(reports)
        memmaps, distinct = [], len(files)
        for plan in plans:
            placed, report = place_memmaps(
                plan, vocabulary, self.place, self.folder / "tokens", distinct
            )
            files += placed
            distinct += len(report.files)
            memmaps.append(report)
        placed_reports = iter(memmaps)
        ordered = [
            next(placed_reports if isinstance(source, MemmapSource) else texts)
            for source in self.corpus.train
        ]
        return files, ordered, documents

    def _pack(
        self,
        gathered: text.Gathered,
        evaluation: _Evaluation,
        tokenizer: Tokenizer,
        vocabulary: Vocabulary,
    ) -> tuple[text.Written, list[SourceReport]]:
        written = text.write_training(
            self.folder / "tokens" / "train-00000.bin",
            gathered,
            np.setdiff1d(gathered.by_digest, evaluation.held_out, assume_unique=True),
            tokenizer,
            vocabulary.eos,
            dtype=vocabulary.dtype,
            overlaps=OverlapFilter(evaluation.tokens, self.corpus.evaluation.window),
        )
        held_out = gathered.per_source(evaluation.held_out)
        overlapping = gathered.per_source(written.overlapping)
        counted = zip(gathered.reports, held_out, overlapping, strict=True)
        return written, [
            replace(report, held_out=held, overlapping=over) for report, held, over in counted
        ]

    def _write_evaluation(self, evaluation: _Evaluation, vocabulary: Vocabulary) -> TokenFile:
        path = self.folder / "tokens" / "eval-00000.bin"
        evaluation.tokens.astype(np.dtype(vocabulary.dtype).newbyteorder("<")).tofile(path)
        sources = self.corpus.eval_sources
        origin = "evaluation sources" if sources else "held out of the training sources"
        return TokenFile(path.name, len(evaluation.tokens), sha256(path), origin)


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    """Hold the state folder for one process. Raises DataError if another one has it."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(
                f"{state}: another process is making this corpus; wait for it or end it"
            ) from error
        yield


def _publish(made: Path, place: Path) -> None:
    """Move a file or folder to its place, replacing what is there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():
        place.rename(made.with_name(f"{made.name}.before"))
    made.rename(place)
