"""Where a declared tokenizer is, and what a file is that is none.

What is read is a tokenizers JSON, alone or in the folder that ``save_pretrained`` of transformers
writes. People also name what lies beside it or comes before it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from zsl.errors import BrokenFileError, DataError
from zsl.files import read_json
from zsl.foreign import HEAD, what_it_is

NAME = "tokenizer.json"
_FAST = (
    "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(OUT) of transformers (with "
    f"sentencepiece and protobuf installed) writes a {NAME}"
)
_SENTENCEPIECE = f"a SentencePiece model: {_FAST}"
_MERGES = (
    "ByteLevelBPETokenizer('vocab.json', 'merges.txt').save('tokenizer.json') of tokenizers makes "
    "one of the two"
)
_WORDPIECE = "BertWordPieceTokenizer('vocab.txt').save('tokenizer.json') of tokenizers makes one"
_RANKS = (
    "ranks of tiktoken, without the pattern and the special tokens that belong to them: "
    "transformers.integrations.tiktoken.convert_tiktoken_to_fast(ENCODING, OUT) writes a "
    f"{NAME}"
)
BESIDE = (
    ("*.model", _SENTENCEPIECE),
    ("merges.txt", f"vocab.json and merges.txt: {_MERGES}"),
    ("vocab.txt", f"a vocabulary of WordPiece: {_WORDPIECE}"),
    ("*.tiktoken", _RANKS),
    ("tokenizer_config.json", f"settings without the tokenizer itself: {_FAST}"),
)
"""What a folder without ``tokenizer.json`` may hold, and what to do."""


def tokenizer_file(root: Path, declared: str) -> Path:
    """The file of a tokenizer declared by its path, which may be that of its folder.

    Raises DataError where there is none, saying what is there.
    """
    path = root / declared
    if path.is_file():
        return path
    if not path.is_dir():
        raise DataError(f"tokenizer {declared!r} is no file; correct tokenizer.path")
    if (path / NAME).is_file():
        return path / NAME
    there = next((what for pattern, what in BESIDE if any(path.glob(pattern))), None)
    raise DataError(
        f"tokenizer {declared!r} is a folder without {NAME}"
        + (f", but with {there}" if there else "; correct tokenizer.path")
    )


def what_instead(path: Path) -> str | None:
    """What a file is that is no tokenizers JSON, and what to do; None if it is of no known kind.

    Raises OSError where it cannot be read.
    """
    if what := what_it_is(path):
        return what
    with path.open("rb") as file:
        head = file.read(HEAD)
    if b"\n\x05<unk>" in head:
        return _SENTENCEPIECE
    lines = head.splitlines()[:-1] or head.splitlines()
    if head.startswith(b"#version:"):
        return f"the merges of a BPE without its vocabulary: {_MERGES}"
    if lines and all(re.fullmatch(rb"[A-Za-z0-9+/]+=* \d+", line) for line in lines):
        return _RANKS
    if b"[UNK]" in lines or b"[PAD]" in lines:
        return f"a vocabulary of WordPiece: {_WORDPIECE}"
    try:
        return _of_json(read_json(path))
    except BrokenFileError:
        return None


def _of_json(values: Any) -> str | None:
    if not isinstance(values, dict) or not values:
        return None
    if "tokenizer_class" in values or "added_tokens_decoder" in values:
        return f"tokenizer_config.json of transformers: give the {NAME} beside it, or its folder"
    if "model_type" in values or "architectures" in values:
        return f"config.json of a model of transformers: give the {NAME} beside it, or its folder"
    if {"eos_token", "unk_token", "bos_token"} & values.keys():
        return f"special tokens of transformers alone: give the {NAME} beside it, or its folder"
    if all(type(number) is int for number in values.values()):
        return f"a vocabulary without the rules that use it; with its merges: {_MERGES}"
    return None
