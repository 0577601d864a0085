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
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from zsl.config.schema import Corpus
from zsl.config.sources import MemmapSource, TrainedTokenizer
from zsl.data.batches import place_batches, plan_batches
from zsl.data.budget import Requirement, check_budget, declaration_digest
from zsl.data.evaluation import Evaluation, make_evaluation
from zsl.data.facts import Made, look
from zsl.data.manifest import Manifest, SourceReport, TokenFile, write_manifest
from zsl.data.memmaps import Plan, Vocabulary, memmap_dtype, place_memmaps, plan_memmaps
from zsl.data.packing import BATCH, token_dtype
from zsl.data.sources import Place
from zsl.data.tasks import asked_tokens
from zsl.data.text import Gathered, gather_texts
from zsl.data.tokenizer import declared_tokenizer, save_tokenizer, special_tokens, train_bpe
from zsl.data.training_file import write_training
from zsl.errors import DataError
from zsl.files import sha256


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
        manifest = _assemble(name, corpus, place, build, requirements)
        write_manifest(build / "manifest.json", manifest)
        _publish(build / "tokens", tokens_folder)
        _publish(build / "tokenizer.json", tokenizer_path)
        _publish(build / "manifest.json", manifest_path)
        shutil.rmtree(build)
    return manifest


def _assemble(
    name: str, corpus: Corpus, place: Place, folder: Path, requirements: Sequence[Requirement]
) -> Manifest:
    """Make tokens and tokenizer in ``folder``; the manifest is returned."""
    plans = [
        plan_batches(source, place) if source.batches else plan_memmaps(source, place)
        for source in corpus.train
        if isinstance(source, MemmapSource)
    ]
    if len(plans) == len(corpus.train):  # known before gigabytes are fetched
        planned = [tokens for plan in plans for tokens in plan.file_tokens]
        check_budget(name, planned, requirements)
    gathered = gather_texts(corpus.train, "train", corpus, place)
    tokenizer = _tokenizer(name, corpus, gathered, place)
    save_tokenizer(tokenizer, folder / "tokenizer.json")
    vocabulary = _vocabulary(corpus, plans, tokenizer)
    evaluation = make_evaluation(name, corpus, gathered, place, tokenizer, vocabulary)
    files: list[TokenFile] = []
    reports: list[SourceReport] = []
    documents = text_eos = 0
    counts = np.zeros(vocabulary.size, dtype=np.int64)
    if gathered is not None:
        path = folder / "tokens" / "train-00000.bin"
        window = corpus.evaluation.window
        excluded = asked_tokens(corpus.exclude_tasks, tokenizer, window)
        written = write_training(
            path, gathered, evaluation, excluded, tokenizer, vocabulary, window
        )
        files.append(written.file)
        reports += written.reports
        documents, text_eos = written.documents, int(written.counts[vocabulary.eos])
        counts += written.counts
    for plan in plans:
        first = len({file.name for file in files})
        bring = place_batches if plan.source.batches else place_memmaps
        placed = bring(plan, vocabulary, place, folder / "tokens", first)
        files += placed.files
        reports.append(placed.report)
        counts += placed.counts
    held = np.bincount(evaluation.tokens, minlength=vocabulary.size)
    made = Made(counts, held, documents, text_eos, gathered, reports)
    facts = look(name, corpus, tokenizer, made)
    check_budget(name, [file.tokens for file in files], requirements)
    return Manifest(
        dtype=vocabulary.dtype,
        vocab_size=vocabulary.size,
        eos_token_id=vocabulary.eos,
        sequences=corpus.evaluation.sequences,
        sequence_length=corpus.evaluation.sequence_length,
        train=tuple(files),
        eval=(_write_evaluation(folder / "tokens" / "eval-00000.bin", evaluation, vocabulary),),
        documents=documents,
        sources=(*reports, *evaluation.reports),
        tokenizer_sha256=sha256(folder / "tokenizer.json"),
        declaration=declaration_digest(corpus),
        facts=facts,
    )


def _tokenizer(name: str, corpus: Corpus, gathered: Gathered | None, place: Place) -> Tokenizer:
    declared = corpus.tokenizer
    if not isinstance(declared, TrainedTokenizer):
        return declared_tokenizer(declared, place.root, place.downloads)
    if gathered is None:
        raise DataError(
            f"corpus {name}: tokenizer kind bpe needs text to be trained on, but all sources are "
            "memmaps; name the tokenizer that made them (olmo or file)"
        )
    return train_bpe(gathered.passages.batches(gathered.in_order, BATCH), declared)


def _vocabulary(corpus: Corpus, plans: Sequence[Plan], tokenizer: Tokenizer) -> Vocabulary:
    size, eos = corpus.tokenizer.vocab_size, corpus.tokenizer.eos_token_id
    dtype = memmap_dtype(plans, token_dtype(size))
    return Vocabulary(dtype, size, eos, special_tokens(tokenizer))


def _write_evaluation(path: Path, evaluation: Evaluation, vocabulary: Vocabulary) -> TokenFile:
    evaluation.tokens.astype(np.dtype(vocabulary.dtype).newbyteorder("<")).tofile(path)
    own = bool(evaluation.reports)
    origin = "evaluation sources" if own else "held out of the training sources"
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
