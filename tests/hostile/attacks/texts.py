"""Text, plain and compressed, and JSON lines: bombs, endless lines, broken bytes, odd records."""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import zstandard

from attacks import add, row

KIND = "text and JSON lines"
WORDS = [a + b + c for a in "bdgklmnprst" for b in "aeiou" for c in "lnrs"]


def words_of(passages: int, seed: int = 0) -> str:
    """Passages of invented words."""
    draw = random.Random(seed)
    return "\n\n".join(" ".join(draw.choices(WORDS, k=30)) for _ in range(passages))


def build(project: Path, train: list[dict[str, Any]], **declared: Any) -> Any:
    """Make a corpus below ``results/small``; its manifest."""
    from zsl.config.schema import Corpus
    from zsl.data.corpus import build_corpus

    values = {
        "train": train,
        "evaluation": {"sequences": 4, "sequence_length": 16},
        "tokenizer": {"kind": "bpe", "vocab_size": 300},
        **declared,
    }
    results = project / "results" / "small"
    return build_corpus(
        "text",
        Corpus.model_validate(values),
        tokens_folder=results / "data" / "text" / "tokens",
        tokenizer_path=results / "data" / "text" / "tokenizer.json",
        manifest_path=results / "data" / "text" / "manifest.json",
        state=results / "state" / "data",
        root=project,
        threads=1,
    )


def of_file(name: str, data: bytes, source: dict[str, Any], project: Path) -> Iterator[None]:
    """A corpus of good text and of this file."""
    (project / "good.txt").write_text(words_of(300))
    (project / name).write_bytes(data)
    good = {"kind": "files", "paths": ["good.txt"]}
    yield
    build(project, [good, {"kind": "files", "paths": [name], **source}])


def gzipped(block: bytes, times: int) -> bytes:
    """A block so many times over: files of gzip, one after the other, are one."""
    return gzip.compress(block, 9) * times


def zstandarded(block: bytes, times: int) -> bytes:
    """The same of zstandard."""
    return zstandard.ZstdCompressor(19).compress(block) * times


def one_frame(mebibytes: int) -> bytes:
    """So many MiB of blanks in one frame of zstandard, of some ten thousand bytes."""
    made = zstandard.ZstdCompressor(1).compressobj()
    block = b" " * (1 << 20)
    return b"".join(made.compress(block) for _ in range(mebibytes)) + made.flush()


BLANKS = b" " * (1 << 24)


def wide_window(data: bytes) -> bytes:
    """A .zst frame that asks for a window of 2 GiB."""
    settings = zstandard.ZstdCompressionParameters(window_log=31, enable_ldm=True)
    made = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    return made.compress(data) + made.flush()


GOOD = "\n".join(json.dumps({"text": f"passage {n}"}) for n in range(20)).encode()
TEXT = words_of(50).encode()
TOO_LONG = "longer than 16,777,216 bytes"
FILES: dict[str, tuple[str, Any, dict[str, Any], str | None]] = {
    "a gzip bomb of one line": (
        "a.txt.gz",
        lambda: gzipped(BLANKS, 100),
        {},
        TOO_LONG,
    ),
    "a gzip bomb of many lines": (
        "a.txt.gz",
        lambda: gzipped((b"word " * 2000 + b"\n") * 200, 100),
        {"documents": "line"},
        "(a decompression bomb?)",
    ),
    "a zstandard bomb of one line": (
        "a.txt.zst",
        lambda: one_frame(900),
        {},
        TOO_LONG,
    ),
    "a zstandard bomb of JSON lines": (
        "a.jsonl.zst",
        lambda: zstandarded((b'{"text": "' + b"word " * 2000 + b'"}\n') * 80, 100),
        {"fields": ["text"]},
        "(a decompression bomb?)",
    ),
    "a zstandard frame with a window of 2 GiB": (
        "a.txt.zst",
        lambda: wide_window(TEXT),
        {},
        "compressed data is damaged after line 0",
    ),
    "a gzip file that is cut off": (
        "a.txt.gz",
        lambda: gzip.compress(TEXT)[:-20],
        {},
        "damaged after",
    ),
    "a zstandard file that is cut off": (
        "a.txt.zst",
        lambda: zstandard.compress(TEXT)[:-20],
        {},
        "damaged after",
    ),
    "a gzip file that is none": ("a.txt.gz", lambda: TEXT, {}, "damaged after line 0"),
    "a gzip file within a gzip file": (
        "a.txt.gz",
        lambda: gzip.compress(gzip.compress(TEXT)),
        {},
        "a.txt.gz: not text but compressed by gzip",
    ),
    "one endless line": ("a.txt", lambda: b"word " * (5 << 20), {}, TOO_LONG),
    "a paragraph without an end": (
        "a.txt",
        lambda: (b"word " * 20 + b"\n") * 200_000,
        {},
        TOO_LONG,
    ),
    "a file that is one document of 20 MB": (
        "a.txt",
        lambda: (b"word " * 20 + b"\n\n") * 200_000,
        {"documents": "file"},
        TOO_LONG,
    ),
    "bytes that are not UTF-8": (
        "a.txt",
        lambda: b"good\n\nbad \xff\xfe",
        {},
        "a.txt, line 3: not UTF-8",
    ),
    "UTF-16": ("a.txt", lambda: TEXT.decode().encode("utf-16"), {}, "not UTF-8 text but UTF-16"),
    "UTF-16 without a mark": ("a.txt", lambda: TEXT.decode().encode("utf-16-le"), {}, "UTF-16LE"),
    "a file of NUL bytes": ("a.txt", lambda: bytes(1 << 16), {}, "NUL bytes in place of text"),
    "carriage returns alone": (
        "a.txt",
        lambda: b"\r" * (1 << 20) + b"text",
        {},
        None,
    ),
    "a suffix that is not read": (
        "a.zip",
        lambda: b"PK\x03\x04",
        {},
        "a.zip: cannot tell how to read",
    ),
    "a Parquet file called text": ("a.txt", lambda: b"PAR1", {}, "a Parquet file: end its name"),
    "a pickle called text": ("a.txt", lambda: b"\x80\x04\x95cos\nsystem\n", {}, "not UTF-8 text"),
    "JSON nested 100,000 deep": (
        "a.jsonl",
        lambda: GOOD + b"\n" + b"[" * 100_000,
        {"fields": ["text"]},
        "a.jsonl, line 21: not a JSON record",
    ),
    "JSON that is cut off": (
        "a.jsonl",
        lambda: GOOD + b'\n{"text": "a',
        {"fields": ["text"]},
        "a.jsonl, line 21: not a JSON record",
    ),
    "JSON with bytes that are not UTF-8": (
        "a.jsonl",
        lambda: b'{"text": "\xff"}',
        {"fields": ["text"]},
        "a.jsonl, line 1: not a JSON record",
    ),
    "JSON with a number of 5,000 digits": (
        "a.jsonl",
        lambda: b'{"text": ' + b"9" * 5000 + b"}",
        {"fields": ["text"]},
        "a.jsonl, line 1: not a JSON record",
    ),
    "JSON with half a surrogate pair": (
        "a.jsonl",
        lambda: b'{"text": "\\ud800"}',
        {"fields": ["text"]},
        "a.jsonl, line 1: 'utf-8' codec",
    ),
    "JSON that is a list": ("a.jsonl", lambda: b"[1]", {"fields": ["text"]}, "a JSON array"),
    "an array of 5 million records": (
        "a.json",
        lambda: b"[" + b"{}," * 5_000_000 + b"{}]",
        {"fields": ["text"]},
        "a.json, line 1: no field 'text'",
    ),
    "an array that ends in the middle": (
        "a.json",
        lambda: b'[{"text": "a"}, {"text": "b" ',
        {"fields": ["text"]},
        "a.json, line 1: not a JSON record",
    ),
    "an array with an element of 20 MB": (
        "a.json",
        lambda: b'["' + b"word " * (4 << 20) + b'"]',
        {"fields": ["text"]},
        "or one longer than 16,777,216 bytes",
    ),
    "an array nested 100,000 deep": (
        "a.json",
        lambda: b"[" * 100_000,
        {"fields": ["text"]},
        "a.json, line 1: not a JSON record",
    ),
    "an object of a million columns": (
        "a.json",
        lambda: b"{" + b",".join(b'"%x":[1]' % n for n in range(1_000_000)) + b"}",
        {"fields": ["text"]},
        "and 999990 more",
    ),
    "a cell without an end": (
        "a.csv",
        lambda: b'text\n"' + b"word\n" * (4 << 20),
        {"fields": ["text"]},
        "a.csv, row that begins in line 2: longer than 16,777,216 bytes",
    ),
    "a row of 16 million cells": (
        "a.csv",
        lambda: b"text\n" + b"," * (16 << 20) + b"\n",
        {"fields": ["text"]},
        "a.csv, ",
    ),
    "a bomb of CSV": (
        "a.csv.gz",
        lambda: gzipped(b"text\n" + (b"word " * 2000 + b"\n") * 200, 100),
        {"fields": ["text"]},
        "(a decompression bomb?)",
    ),
    "a table without its column": (
        "a.csv",
        lambda: b"a\x1b,b\n1,2\n",
        {"fields": ["text"]},
        "a.csv, line 1: no columns text",
    ),
    "JSON whose field is a record": (
        "a.jsonl",
        lambda: b'{"text": {"a": 1}}',
        {"fields": ["text"]},
        "field 'text' holds dict",
    ),
    "JSON whose field is a list 900 deep": (
        "a.jsonl",
        lambda: b'{"text": ' + b"[" * 900 + b"]" * 900 + b"}",
        {"fields": ["text"]},
        "a.jsonl, line 1: ",
    ),
    "JSON of 100,000 other fields": (
        "a.jsonl",
        lambda: json.dumps({f"field \x1b {n}": 1 for n in range(100_000)}).encode(),
        {"fields": ["text"]},
        "and 99990 more",
    ),
    "JSON of 20 MB": (
        "a.jsonl",
        lambda: b'{"text": "' + b"word " * (4 << 20) + b'"}',
        {"fields": ["text"]},
        TOO_LONG,
    ),
    "JSON lines without a field to read": (
        "a.jsonl",
        lambda: GOOD,
        {},
        "the source names no fields",
    ),
    "NUL bytes and control characters": (
        "a.txt",
        lambda: b"a word \0 and \x1b[2J\n\n" + TEXT,
        {},
        None,
    ),
    "formats, markup and names of special tokens": (
        "a.txt",
        lambda: b"{0} %n <|endoftext|> </s> ${HOME} \\x00 " * 20 + TEXT,
        {},
        None,
    ),
}
for name, (file, made, source, says) in FILES.items():

    def attack(
        project: Path, file: str = file, made: Any = made, source: dict[str, Any] = source
    ) -> Iterator[None]:
        yield from of_file(file, made(), source, project)

    add(KIND, name, attack, says)


def of_odd(make: Any, says: str, project: Path) -> Iterator[None]:
    """A source that is something else than a file."""
    (project / "good.txt").write_text(words_of(300))
    make(project / "a.txt")
    yield
    build(
        project, [{"kind": "files", "paths": ["good.txt"]}, {"kind": "files", "paths": ["a.txt"]}]
    )


for name, maker in {
    "a pipe called a.txt": os.mkfifo,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "nothing": lambda path: None,
}.items():
    add(KIND, name, partial(of_odd, maker, name), "pattern 'a.txt' matches no file")


add(
    KIND,
    "a folder called a.txt",
    partial(of_odd, Path.mkdir, ""),
    "pattern 'a.txt' is a folder without a file of text",
)


def linked(path: Path) -> None:
    """A folder with links that lead round, out and to nothing."""
    path.mkdir()
    (path / "text.txt").write_text("text")
    for name, target in (("round", "."), ("out", "/etc"), ("none.txt", "nowhere")):
        (path / name).symlink_to(target)
    os.mkfifo(path / "pipe.txt")


add(KIND, "a folder with links and pipes", partial(of_odd, linked, ""), None)


@row(KIND, "broken records of every kind, which are skipped and counted", None)
def skipped(project: Path) -> Iterator[None]:
    broken = [b"[" * 100_000, b"{", b"[1]", b'{"text": {}}', b'{"text": "\\ud800"}', b"\xff"]
    (project / "a.jsonl").write_bytes(b"\n".join([GOOD, *broken]))
    (project / "good.txt").write_text(words_of(300))
    yield
    sources = [
        {"kind": "files", "paths": ["good.txt"]},
        {"kind": "files", "paths": ["a.jsonl"], "fields": ["text"]},
    ]
    manifest = build(project, sources, broken_records="skip")
    assert manifest.sources[1].broken == len(broken)


@row(KIND, "records that are grouped into a bomb", "(a decompression bomb?)")
def grouped(project: Path) -> Iterator[None]:
    line = json.dumps({"passage": "word " * 500, "question": "why? "}).encode() + b"\n"
    (project / "a.jsonl.gz").write_bytes(gzipped(line * 600, 100))
    yield
    source = {"paths": ["a.jsonl.gz"], "fields": ["question"], "group_by": "passage"}
    build(project, [{"kind": "files", **source}])
