"""Whether a corpus has the sequences that its runs read; only random draws read one twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zsl.config.schema import Corpus, Experiment, Run
from zsl.config.sources import FileTokenizer, MemmapSource
from zsl.data.manifest import Manifest, read_manifest
from zsl.data.number_format import check_format
from zsl.data.shards import local_shards, proportional
from zsl.data.tokenizer_files import tokenizer_file
from zsl.errors import DataError
from zsl.files import sha256_of_json


@dataclass(frozen=True)
class Requirement:
    """Training sequences that a run reads."""

    run: str
    """Id of the run, such as ``main-14M``."""
    sequences: int
    """Of its steps and of the batches after them that single steps are measured on."""
    sequence_length: int
    """Tokens per sequence."""


def requirement(run_id: str, run: Run, *, unseen: int) -> Requirement:
    """Sequences that a run needs: those of its steps and of ``unseen`` batches after them.

    One where sequences are drawn with replacement; those batches alone of a run trained elsewhere.
    """
    if run.source:
        batches = unseen if run.source.optimizer else 0
        return Requirement(run_id, batches * run.update_batch_size, run.sequence_length)
    if run.sampling == "offsets":
        return Requirement(run_id, 1, run.sequence_length)
    return Requirement(run_id, (run.steps + unseen) * run.batch_size, run.sequence_length)


def available_sequences(file_tokens: Iterable[int], sequence_length: int) -> int:
    """Whole sequences in files of these many tokens; the rest of each file is not read."""
    return sum(tokens // sequence_length for tokens in file_tokens)


def check_budget(
    corpus: str, file_tokens: Sequence[int], requirements: Iterable[Requirement]
) -> None:
    """Raise DataError, naming every run, if some need more sequences than the files hold."""
    short = []
    for need in requirements:
        have = available_sequences(file_tokens, need.sequence_length)
        if need.sequences > have:
            short.append(
                f"run {need.run} needs {need.sequences:,} sequences of {need.sequence_length:,} "
                f"tokens, corpus {corpus} has {have:,}"
            )
    if short:
        raise DataError("; ".join(short) + "; lower steps or batch_size, or add text")


def known_tokens(corpus: Corpus, manifest_path: Path, root: Path) -> tuple[int, ...] | None:
    """Tokens of each training file where they can be told at once: from a manifest made of the
    same declaration, from the batches declared, or from the sizes of local memmaps. None where
    the corpus has to be made first.

    Raises DataError if a declared local memmap is missing or no array of ids, or the tokenizer
    no file.
    """
    if manifest_path.exists():
        manifest = read_manifest(manifest_path)
        if manifest.declaration == declaration_digest(corpus):
            return file_tokens(manifest)
    check_local(corpus, root)
    tokens: list[int] = []
    for source in corpus.train:
        if isinstance(source, MemmapSource) and source.batches is not None:
            tokens.append(source.batches.tokens)
            continue
        if not isinstance(source, MemmapSource) or not source.paths:
            return None
        shards = local_shards(source, root)
        if source.subset_tokens is not None:
            shards, _ = proportional(shards, source.subset_tokens)
        tokens += [shard.tokens for shard in shards]
    return tuple(tokens)


def check_local(corpus: Corpus, root: Path) -> None:
    """Raise DataError where the tokenizer or a memmap, if it is here, is not what was declared."""
    if isinstance(corpus.tokenizer, FileTokenizer) and corpus.tokenizer.path:
        tokenizer_file(root, corpus.tokenizer.path)
    for source in [*corpus.train, *corpus.eval_sources]:
        if isinstance(source, MemmapSource) and source.paths:
            for shard in local_shards(source, root):
                assert shard.path is not None
                check_format(shard.path, shard.origin, source.dtype, corpus.tokenizer.vocab_size)


def check_files(experiment: Experiment, root: Path) -> None:
    """As :func:`check_local` for all corpora of an experiment that are not made yet."""
    for name, corpus in experiment.corpora.items():
        folder = root / "results" / experiment.experiment / "data" / name
        known_tokens(corpus, folder / "manifest.json", root)


def file_tokens(manifest: Manifest) -> tuple[int, ...]:
    """Tokens of each training file of a corpus, in reading order."""
    return tuple(file.tokens for file in manifest.train)


def declaration_digest(corpus: Corpus) -> str:
    """Digest of a corpus' configuration."""
    return sha256_of_json(corpus.model_dump(mode="json"))
