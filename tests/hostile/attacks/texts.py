"""Text, JSON and tables, plain and compressed: bombs, endless lines, damage, odd records."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from attacks import row, rows

KIND = "text and records"
WORDS = [a + b + c for a in "bdgklmnprst" for b in "aeiou" for c in "lnrs"]
Make = Callable[[], bytes]


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


def of_path(
    name: str, make: Callable[[Path], object], source: dict[str, Any], project: Path
) -> Iterator[None]:
    """A corpus of good text and of what is made at this path."""
    (project / "good.txt").write_text(words_of(300))
    make(project / name)
    good = {"kind": "files", "paths": ["good.txt"]}
    yield
    build(project, [good, {"kind": "files", "paths": [name], **source}])


def of_file(name: str, make: Make, project: Path, **source: Any) -> Iterator[None]:
    """A corpus of good text and of a file of these bytes, of which records have a ``text``."""
    fields = {} if ".txt" in name else {"fields": ["text"]}
    return of_path(name, lambda path: path.write_bytes(make()), {**fields, **source}, project)


def gzipped(block: bytes, times: int) -> bytes:
    """A block so many times over: files of gzip, one after the other, are one."""
    return gzip.compress(block, 9) * times


def zstandarded(block: bytes, times: int, **settings: Any) -> bytes:
    """The same in one frame of zstandard."""
    wanted = zstandard.ZstdCompressionParameters(**settings)
    made = zstandard.ZstdCompressor(compression_params=wanted).compressobj()
    return b"".join(made.compress(block) for _ in range(times)) + made.flush()


GOOD = "\n".join(json.dumps({"text": f"passage {n}"}) for n in range(20)).encode()
TEXT = words_of(50).encode()
LINES = (b"word " * 2000 + b"\n") * 200
TOO_LONG = "longer than 16,777,216 bytes"
BOMB = "(a decompression bomb?)"
FILES: dict[str, tuple[str, Make, str | None]] = {
    "a gzip bomb of one line": ("a.txt.gz", lambda: gzipped(b" " * (1 << 24), 100), TOO_LONG),
    "a gzip bomb of many lines": ("a.txt.gz", lambda: gzipped(LINES + b"\n", 100), BOMB),
    "a zstandard frame with a window of 2 GiB": (
        "a.txt.zst",
        lambda: zstandarded(TEXT, 1, window_log=31, enable_ldm=True),
        "compressed data is damaged after line 0",
    ),
    "a gzip file that is cut off": ("a.txt.gz", lambda: gzip.compress(TEXT)[:-20], "damaged after"),
    "one endless line": ("a.txt", lambda: b"word " * (5 << 20), TOO_LONG),
    "bytes that are not UTF-8": ("a.txt", lambda: b"good\n\nbad \xff\xfe", "line 3: not UTF-8"),
    "a pickle called text": ("a.txt", lambda: b"\x80\x04\x95cos\nsystem\n", "not text but a pick"),
    "control characters and names of special tokens": (
        "a.txt",
        lambda: b"{0} %n \0 \x1b[2J <|endoftext|> ${HOME} \\x00 " * 20 + TEXT,
        None,
    ),
    "JSON nested 100,000 deep": (
        "a.jsonl",
        lambda: GOOD + b"\n" + b"[" * 100_000,
        "a.jsonl, line 21: not a JSON record",
    ),
    "JSON with half a surrogate pair": (
        "a.jsonl",
        lambda: b'{"text": "\\ud800"}',
        "a.jsonl, line 1: 'utf-8' codec",
    ),
    "JSON of 20 MB": ("a.jsonl", lambda: b'{"text": "' + b"word " * (4 << 20) + b'"}', TOO_LONG),
    "an array with an element of 20 MB": (
        "a.json",
        lambda: b'["' + b"word " * (4 << 20) + b'"]',
        "a.json, line 1: ",
    ),
    "a cell without an end": (
        "a.csv",
        lambda: b'text\n"' + b"word\n" * (4 << 20),
        "a.csv, row that begins in line 2: longer than 16,777,216 bytes",
    ),
    "a bomb of CSV": ("a.csv.gz", lambda: gzipped(b"text\n" + LINES, 100), BOMB),
}
rows(KIND, of_file, FILES)


def linked(path: Path) -> None:
    """A folder with links that lead round, out and to nothing."""
    path.mkdir()
    (path / "text.txt").write_text("text")
    for name, target in (("round", "."), ("out", "/etc"), ("none.txt", "nowhere")):
        (path / name).symlink_to(target)
    os.mkfifo(path / "pipe.txt")


def written(name: str) -> Callable[[Path], object]:
    """Good text under this name."""
    return lambda path: path.with_name(name).write_text(words_of(300))


NO_FILE = "pattern 'a.txt' matches no file"
ODD: dict[str, tuple[str, Callable[[Path], object], dict[str, Any], str | None]] = {
    "a pipe": ("a.txt", os.mkfifo, {}, NO_FILE),
    "a link to a device": ("a.txt", lambda path: path.symlink_to("/dev/zero"), {}, NO_FILE),
    "a folder with links and pipes": ("texts", linked, {}, None),
    "a file whose name is a command and a format": (
        (name := "$(touch executed); %s 'x' \"y\" -rf é.txt"),
        written(name),
        {},
        None,
    ),
}
rows(KIND, of_path, ODD)


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


def arrow(column: Any, compression: str | None = None) -> bytes:
    """An Arrow stream with a column ``text``."""
    batch, made = pa.record_batch({"text": column}), io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(made, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return made.getvalue()


def parquet(column: Any) -> bytes:
    """A Parquet file with a column ``text``."""
    made = io.BytesIO()
    pq.write_table(pa.table({"text": column}), made, compression="zstd")
    return made.getvalue()


def spoilt(offset: int) -> bytes:
    """A column of text whose last offset is another one."""
    data = bytearray(arrow(pa.array([f"text {n}" for n in range(8)])))
    place = data.rindex(struct.pack("<ii", 42, 48))
    struct.pack_into("<i", data, place + 4, offset)
    return bytes(data)


def repeated(count: int, size: int) -> Any:
    """So many values that are one text."""
    return pa.DictionaryArray.from_arrays(pa.nulls(count, pa.int32()).fill_null(0), ["x" * size])


def many_nulls() -> Any:
    """Two lists of a billion nulls each, which take no bytes."""
    offsets = pa.array([0, 10**9, 2 * 10**9], pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.nulls(2 * 10**9))


NO_ARROW, NO_PARQUET = "a.arrow: not a whole Arrow", "a.parquet: not a whole Parquet"
TABLES: dict[str, tuple[str, Make, str]] = {
    "Arrow: an offset beyond the text": ("a.arrow", lambda: spoilt(1_000_000_000), NO_ARROW),
    "Arrow: a quarter of a gigabyte compressed": (
        "a.arrow",
        lambda: arrow(pa.array(["x" * (1 << 28)]), "zstd"),
        BOMB,
    ),
    "Arrow: a dictionary that is a terabyte written out": (
        "a.arrow",
        lambda: arrow(repeated(10**6, 10**6)),
        "column 'text' holds",
    ),
    "Arrow: lists of a billion nulls": (
        "a.arrow",
        lambda: arrow(many_nulls()),
        "column 'text' holds list<",
    ),
    "Parquet: a footer longer than the file": (
        "a.parquet",
        lambda: b"PAR1" + struct.pack("<I", 0x7FFFFFFF) + b"PAR1",
        NO_PARQUET,
    ),
    "Parquet: a text of 50 MB in each of a hundred rows": (
        "a.parquet",
        lambda: parquet(repeated(100, 50 << 20)),
        "a.parquet, row 1: longer than",
    ),
    "Parquet: a text of a megabyte in each of 100,000 rows": (
        "a.parquet",
        lambda: parquet(repeated(100_000, 1 << 20)),
        BOMB,
    ),
}
rows(KIND, of_file, TABLES)
