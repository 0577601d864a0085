"""Tokenizers: files that are none, ids beyond the vocabulary, and settings that multiply text."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attacks import row, rows
from attacks.texts import build, words_of

KIND = "tokenizers"
EMPTY: dict[str, Any] = dict.fromkeys(
    ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder")
)
VOCABULARY = {
    "<|endoftext|>": 0,
    "[UNK]": 1,
    **{letter: n for n, letter in enumerate("abcdefgh", 2)},
}


def made(**parts: Any) -> dict[str, Any]:
    """A tokenizers file of whole words, with these parts instead."""
    model = {"type": "WordLevel", "vocab": VOCABULARY, "unk_token": "[UNK]"}
    return {"version": "1.0", "added_tokens": [], "model": model, **EMPTY, **parts}


def model(**parts: Any) -> dict[str, Any]:
    return made(model={"type": "WordLevel", "vocab": VOCABULARY, "unk_token": "[UNK]", **parts})


def of_path(make: Callable[[Path], object], project: Path) -> Iterator[None]:
    """A corpus with what is made as its tokenizer, which is declared to have ten tokens."""
    (project / "good.txt").write_text(words_of(300))
    make(project / "tokenizer.json")
    tokenizer = {"kind": "file", "path": "tokenizer.json", "vocab_size": 10, "eos_token_id": 0}
    yield
    build(project, [{"kind": "files", "paths": ["good.txt"]}], tokenizer=tokenizer)


def of_file(content: bytes | dict[str, Any], project: Path) -> Iterator[None]:
    """A corpus with this tokenizer."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return of_path(lambda path: path.write_bytes(data), project)


A, B = ({"Sequence": {"id": id, "type_id": 0}} for id in "AB")
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [A] * 1000,
    "pair": [A, B],
    "special_tokens": {},
}
NONE = "tokenizer.json: not a tokenizers JSON file"
FILES: dict[str, tuple[bytes | dict[str, Any], str]] = {
    "a pickle": (b"\x80\x04\x95cposix\nsystem\n", NONE),
    "JSON nested 100,000 deep": (b"[" * 100_000, NONE),
    "an id beyond the vocabulary": (
        model(vocab={**VOCABULARY, "h": 4_000_000_000}),
        "has 10 tokens and the id 4000000000",
    ),
    "a length that makes the library panic": (
        made(pre_tokenizer={"type": "FixedLength", "length": 0}),
        "the tokenizer cannot encode a document",
    ),
    "no token for what is unknown": (
        model(unk_token="nowhere"),
        "the tokenizer cannot encode a document",
    ),
}
rows(KIND, of_file, FILES)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (os.mkfifo, "tokenizer 'tokenizer.json' is no file"),
    "a file of a terabyte": (sparse, "larger than 67,108,864 bytes"),
}
rows(KIND, of_path, ODD)


@row(KIND, "settings that cut, pad, add and repeat", None)
def settings(project: Path) -> Iterator[None]:
    import numpy as np

    (project / "good.txt").write_text("a b c <|endoftext|>\n\n" + "\n\n".join(["d e f g h"] * 100))
    padding = {"strategy": {"Fixed": 5000}, "direction": "Right", "pad_to_multiple_of": None}
    values = made(
        truncation={"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0},
        padding={**padding, "pad_id": 1, "pad_type_id": 0, "pad_token": "[UNK]"},
        pre_tokenizer={"type": "WhitespaceSplit"},
        post_processor=TEMPLATE,
    )
    (project / "tokenizer.json").write_text(json.dumps(values))
    tokenizer = {"kind": "file", "path": "tokenizer.json", "vocab_size": 10, "eos_token_id": 0}
    source = {"kind": "files", "paths": ["good.txt"], "documents": "line"}
    yield
    build(
        project,
        [source],
        tokenizer=tokenizer,
        deduplicate=False,
        evaluation={"sequences": 1, "sequence_length": 2, "window": 10},
    )
    (path,) = (project / "results").rglob("train-00000.bin")
    lengths = np.diff(np.flatnonzero(np.fromfile(path, "<u2") == 0))
    assert set(lengths.tolist()) <= {1, 4, 5, 6}  # blank lines, and words with their end


@row(KIND, "a tokenizer with the name of a special token in the text", None)
def special(project: Path) -> Iterator[None]:
    from zsl.data.tokenizer import encode, load_tokenizer

    added = {"id": 0, "content": "<|endoftext|>", "single_word": False, "lstrip": False}
    added |= {"rstrip": False, "normalized": False, "special": True}
    values = made(added_tokens=[added], pre_tokenizer={"type": "WhitespaceSplit"})
    (project / "tokenizer.json").write_text(json.dumps(values))
    yield
    tokenizer = load_tokenizer(project / "tokenizer.json")
    assert encode(tokenizer, ["a <|endoftext|>b"])[0].ids == [2, 1]
