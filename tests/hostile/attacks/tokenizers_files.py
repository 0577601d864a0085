"""Tokenizers: files that are none, ids beyond the vocabulary, and settings that multiply text."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from attacks import add, row
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


def of_file(data: bytes, size: int, project: Path) -> Iterator[None]:
    """A corpus with this tokenizer, which is declared to have ``size`` tokens."""
    (project / "good.txt").write_text(words_of(300))
    (project / "tokenizer.json").write_bytes(data)
    tokenizer = {"kind": "file", "path": "tokenizer.json", "vocab_size": size, "eos_token_id": 0}
    yield
    build(project, [{"kind": "files", "paths": ["good.txt"]}], tokenizer=tokenizer)


def model(**parts: Any) -> dict[str, Any]:
    return made(model={"type": "WordLevel", "vocab": VOCABULARY, "unk_token": "[UNK]", **parts})


def charsmap(texts: bytes) -> str:
    return base64.b64encode((0).to_bytes(4, "little") + texts).decode()


ADDED = {
    "content": "added",
    **dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False),
}
DOUBLED = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
A, B = ({"Sequence": {"id": id, "type_id": 0}} for id in "AB")
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [A] * 1000,
    "pair": [A, B],
    "special_tokens": {},
}
NONE = "tokenizer.json: not a tokenizers JSON file"
FILES: dict[str, tuple[bytes | dict[str, Any], str]] = {
    "no JSON": (b"not json", NONE),
    "nothing": (b"", NONE),
    "a file that is cut off": (json.dumps(made()).encode()[:-30], NONE),
    "bytes that are not UTF-8": (b"\xff\xfe{}", NONE),
    "a pickle": (b"\x80\x04\x95cposix\nsystem\n", NONE),
    "JSON nested 100,000 deep": (b"[" * 100_000, NONE),
    "JSON of something else": (b'{"a": 1}', NONE),
    "a model of an unknown type": (made(model={"type": "Pickled", "vocab": {}}), NONE),
    "an id of 2^32": (model(vocab={**VOCABULARY, "z": 1 << 32}), NONE),
    "an id below 0": (model(vocab={**VOCABULARY, "z": -1}), NONE),
    "an id beyond the vocabulary": (
        model(vocab={**VOCABULARY, "h": 4_000_000_000}),
        "has 10 tokens and the id 4000000000",
    ),
    "two tokens with one id": (model(vocab={**VOCABULARY, "h": 8}), "has one id for 'g' and 'h'"),
    "more tokens than declared": (model(vocab={**VOCABULARY, "z": 10}), "has 11 tokens"),
    "an end-of-text with another id": (
        model(vocab={**VOCABULARY, "<|endoftext|>": 1, "[UNK]": 0}),
        "<|endoftext|> is 1",
    ),
    "an added token with another id than it gets": (
        made(added_tokens=[{**ADDED, "id": 4_000_000_000}]),
        "tokenizer.json: gives 'added' the id 4000000000, to which tokenizers gives 10",
    ),
    "an added token without a name": (made(added_tokens=[{"id": 0}]), NONE),
    "added tokens that are none": (made(added_tokens=7), NONE),
    "a merge of tokens that are not there": (
        made(model={"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "zz"]]}),
        NONE,
    ),
    "a table that makes the library panic": (
        made(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA////"}),
        NONE,
    ),
    "a length that makes the library panic": (
        made(pre_tokenizer={"type": "FixedLength", "length": 0}),
        "the tokenizer cannot encode a document",
    ),
    "no token for what is unknown": (
        model(unk_token="nowhere"),
        "the tokenizer cannot encode a document",
    ),
    "an expression nested 5,000 deep": (
        made(
            pre_tokenizer={
                "type": "Split",
                "pattern": {"Regex": "(" * 5000},
                "behavior": "Isolated",
                "invert": False,
            }
        ),
        NONE,
    ),
    "a normalizer that doubles text 30 times": (
        made(normalizer={"type": "Sequence", "normalizers": [DOUBLED] * 30}),
        "its normalizer makes more than 32 characters of one",
    ),
    "a normalizer that writes a book for a letter": (
        made(normalizer={**DOUBLED, "pattern": {"Regex": "."}, "content": "b" * 1_000_000}),
        "its normalizer makes more than 32 characters of one",
    ),
}
for name, (content, says) in FILES.items():
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    add(KIND, name, partial(of_file, data, len(VOCABULARY)), says)


def of_odd(make: Any, project: Path) -> Iterator[None]:
    """A path of a tokenizer that is something else."""
    (project / "good.txt").write_text(words_of(300))
    make(project / "tokenizer.json")
    tokenizer = {"kind": "file", "path": "tokenizer.json", "vocab_size": 10, "eos_token_id": 0}
    yield
    build(project, [{"kind": "files", "paths": ["good.txt"]}], tokenizer=tokenizer)


for name, maker, says in (
    ("a folder", Path.mkdir, "is a folder without tokenizer.json"),
    ("a pipe", os.mkfifo, "is no file"),
    ("a link to a device", lambda path: path.symlink_to("/dev/zero"), "is no file"),
):
    add(KIND, name, partial(of_odd, maker), f"tokenizer 'tokenizer.json' {says}")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


add(KIND, "a file of a terabyte", partial(of_odd, sparse), "larger than 67,108,864 bytes")


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


@row(KIND, "a decoder that writes a book for a letter", None)
def decoder(project: Path) -> Iterator[None]:
    book = {"type": "Replace", "pattern": {"Regex": "."}, "content": "b" * 10_000_000}
    words = {f"w{n}": n for n in range(2, 10)}
    vocabulary = {"<|endoftext|>": 0, "[UNK]": 1, **words}
    values = made(
        model={"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
        pre_tokenizer={"type": "WhitespaceSplit"},
        decoder={"type": "Sequence", "decoders": [book] * 3},
    )
    texts = (" ".join(f"w{2 + (n >> k) % 8}" for k in range(9)) for n in range(300))
    (project / "good.txt").write_text("\n\n".join(texts))
    (project / "tokenizer.json").write_text(json.dumps(values))
    tokenizer = {"kind": "file", "path": "tokenizer.json", "vocab_size": 10, "eos_token_id": 0}
    yield
    build(
        project,
        [{"kind": "files", "paths": ["good.txt"]}],
        tokenizer=tokenizer,
        evaluation={"sequences": 1, "sequence_length": 8, "window": 8},
        accept=["overlap_share", "eos_share"],
    )
