"""Where a declared tokenizer is, and what a file is that is none.

What is read is a tokenizers JSON, alone or in the folder that ``save_pretrained`` of transformers
writes. People also name what lies beside it or comes before it.
"""

from __future__ import annotations

from pathlib import Path

from zsl.errors import DataError
from zsl.foreign import what_it_is

NAME = "tokenizer.json"
_FAST = (
    "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(OUT) of transformers (with "
    f"sentencepiece and protobuf installed) writes a {NAME}"
)
_MERGES = (
    "vocab.json and merges.txt: ByteLevelBPETokenizer('vocab.json', 'merges.txt').save("
    "'tokenizer.json') of tokenizers makes one of the two"
)
_RANKS = (
    "ranks of tiktoken, without the pattern and the special tokens that belong to them: "
    "transformers.integrations.tiktoken.convert_tiktoken_to_fast(ENCODING, OUT) writes a "
    f"{NAME}"
)
BESIDE = (
    ("*.model", f"a SentencePiece model: {_FAST}"),
    ("merges.txt", _MERGES),
    ("vocab.json", _MERGES),
    (
        "vocab.txt",
        "a vocabulary of WordPiece: BertWordPieceTokenizer('vocab.txt').save('tokenizer.json') of "
        "tokenizers makes one",
    ),
    ("*.tiktoken", _RANKS),
    ("tokenizer_config.json", f"settings without the tokenizer itself: {_FAST}"),
    ("special_tokens_map.json", f"special tokens alone: give the {NAME} beside it, or its folder"),
    ("config.json", f"config.json of a model: give the {NAME} beside it, or its folder"),
)
"""Files of tokenizers by their names, and what to do with them."""


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
    named = next((what for pattern, what in BESIDE if path.match(pattern)), None)
    return named or what_it_is(path)
