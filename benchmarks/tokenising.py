"""The text of mini from passages on disk to tokens on disk, against ``encode_batch`` alone.

The peer has all texts in memory and keeps what the tokenizer gives it; ours reads batches, and
adds, filters, digests and writes their ids.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from harness import ROUNDS, Disagreement, Result, alternate, describe, main, spread
from memory import peak_memory
from tokenizers import Tokenizer

from zsl.config.load import load
from zsl.config.schema import Corpus
from zsl.data.evaluation import Evaluation, make_evaluation
from zsl.data.memmaps import Vocabulary
from zsl.data.packing import BATCH, token_dtype
from zsl.data.sources import Place
from zsl.data.text import Gathered, gather_texts
from zsl.data.tokenizer import load_tokenizer, save_tokenizer, train_bpe
from zsl.data.training_file import Written, write_training

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Prepared:
    """A corpus up to the point where its training text is tokenised."""

    gathered: Gathered
    evaluation: Evaluation
    vocabulary: Vocabulary
    window: int
    folder: Path
    """Holds the passages and ``tokenizer.json``, and takes the tokens."""

    @property
    def tokenizer(self) -> Tokenizer:
        return load_tokenizer(self.folder / "tokenizer.json")

    def texts(self) -> list[str]:
        """The documents to tokenise."""
        numbers = np.setdiff1d(self.gathered.in_order, self.evaluation.held_out)
        return list(self.gathered.passages.texts(numbers))


def prepare(corpus: Corpus, folder: Path) -> Prepared:
    place = Place(ROOT, folder, folder)
    gathered = gather_texts(corpus.train, "train", corpus, place)
    assert gathered
    declared = corpus.tokenizer
    tokenizer = train_bpe(gathered.passages.batches(gathered.in_order, BATCH), declared)  # type: ignore[arg-type]
    save_tokenizer(tokenizer, folder / "tokenizer.json")
    vocabulary = Vocabulary(
        token_dtype(declared.vocab_size), declared.vocab_size, declared.eos_token_id
    )
    evaluation = make_evaluation("mini", corpus, gathered, place, tokenizer, vocabulary)
    return Prepared(gathered, evaluation, vocabulary, corpus.evaluation.window, folder)


def ours(prepared: Prepared) -> Callable[[], Written]:
    """Write the training file, as the rule ``tokens`` does."""
    nothing = np.empty(0, dtype=np.uint32)  # no tasks whose text is left out: not the peer's work
    given = prepared.gathered, prepared.evaluation, nothing, prepared.tokenizer, prepared.vocabulary

    def write() -> Written:
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            return write_training(prepared.folder / "train.bin", *given, prepared.window)

    return write


def peer(prepared: Prepared) -> Callable[[], list]:
    """Encode all texts at once; they are in memory already."""
    texts, tokenizer = prepared.texts(), prepared.tokenizer
    return lambda: tokenizer.encode_batch(texts, add_special_tokens=False)


def compare_tokens(prepared: Prepared) -> str:
    """Our documents are the peer's in their order, less those said to be left out."""
    written = ours(prepared)()
    stream = np.fromfile(prepared.folder / "train.bin", prepared.vocabulary.dtype)
    ends = np.flatnonzero(stream == prepared.vocabulary.eos)
    documents = np.split(stream, ends + 1)[:-1]
    found = left_out = 0
    for encoding in peer(prepared)():
        if found < len(documents) and encoding.ids == documents[found][:-1].tolist():
            found += 1
        else:
            left_out += 1
    said = sum(report.overlapping for report in written.reports)
    if found < len(documents) or left_out != said:
        raise Disagreement(f"{left_out} documents differ from the peer's, expected {said}")
    return f"equal ids in {len(ends)} documents"


def measure(corpus: Corpus, rounds: int = ROUNDS) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(corpus, Path(folder))
        agreement = compare_tokens(prepared)
        seconds = alternate([peer(prepared), ours(prepared)], rounds)
        mib = [peak_memory(side, prepared) / 2**20 for side in (peer, ours)]
    return Result(
        name="tokenising",
        peer="tokenizers' encode_batch of all texts in memory",
        ours="zsl.data.training_file.write_training",
        unit="x the peer's rate",
        **spread(seconds[:, 0] / seconds[:, 1]),
        target=">= 0.9",
        agreement=agreement,
        note=f"peak memory {mib[1]:.0f} MiB, the peer's {mib[0]:.0f} MiB beside the texts",
        device=describe(torch.device("cpu")),
    )


if __name__ == "__main__":
    main(lambda _: [measure(load([ROOT / "config" / "config.yaml"]).experiment.corpora["bundled"])])
