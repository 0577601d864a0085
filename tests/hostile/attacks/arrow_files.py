"""Arrow and Parquet files: damaged, compressed, and where few bytes are many values."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from attacks import add
from attacks.texts import build, words_of

KIND = "Arrow files"


def written(column: Any, *, stream: bool = True, compression: str | None = None) -> bytes:
    """An Arrow file with a column ``text``."""
    batch = pa.record_batch({"text": column})
    made = io.BytesIO()
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with new(made, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return made.getvalue()


def of_file(make: Callable[[], bytes], name: str, project: Path) -> Iterator[None]:
    """A corpus of good text and of this file."""
    (project / "good.txt").write_text(words_of(300))
    (project / name).write_bytes(make())
    sources = [
        {"kind": "files", "paths": ["good.txt"]},
        {"kind": "files", "paths": [name], "fields": ["text"]},
    ]
    yield
    build(project, sources)


def spoilt(offset: int) -> bytes:
    """A column of text whose last offset is another one."""
    data = bytearray(written(pa.array([f"text {n}" for n in range(8)])))
    place = data.rindex(struct.pack("<ii", 42, 48))
    struct.pack_into("<i", data, place + 4, offset)
    return bytes(data)


def of_bytes(size: int) -> bytes:
    """A column of text that is not UTF-8."""
    raw = pa.py_buffer(b"\xff" * size)
    offsets = pa.py_buffer(struct.pack("<ii", 0, size))
    return written(pa.Array.from_buffers(pa.string(), 1, [None, offsets, raw]))


def repeated() -> Any:
    """A million values that are one text of a megabyte."""
    return pa.DictionaryArray.from_arrays(
        pa.nulls(1_000_000, pa.int32()).fill_null(0), ["x" * 10**6]
    )


def runs() -> Any:
    """A billion values that are one run of one text."""
    return pa.RunEndEncodedArray.from_arrays(pa.array([10**9], pa.int32()), pa.array(["x" * 1000]))


def many_nulls() -> Any:
    """Two lists of a billion nulls each, which take no bytes."""
    offsets = pa.array([0, 10**9, 2 * 10**9], pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.nulls(2 * 10**9))


DAMAGED = "a.arrow: not a whole Arrow file"
FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "no Arrow": (lambda: b"no arrow file at all", DAMAGED),
    "nothing": (lambda: b"", DAMAGED),
    "a file that is cut off": (lambda: written(pa.array(["text"] * 100))[:-200], DAMAGED),
    "a pickle": (lambda: b"\x80\x04\x95cposix\nsystem\n" * 10, DAMAGED),
    "a message longer than the file": (lambda: struct.pack("<II", 0xFFFFFFFF, 0x7FFFFFF0), DAMAGED),
    "an offset beyond the text": (lambda: spoilt(1_000_000_000), DAMAGED),
    "an offset below the one before": (lambda: spoilt(-5), DAMAGED),
    "text that is not UTF-8": (lambda: of_bytes(100), DAMAGED),
    "a quarter of a gigabyte compressed by zstandard": (
        lambda: written(pa.array(["x" * (1 << 28)]), compression="zstd"),
        "a compressed Arrow file",
    ),
    "a compressed file with a footer": (
        lambda: written(pa.array(["x"] * 1000), compression="lz4", stream=False),
        "a compressed Arrow file",
    ),
    "a dictionary that is a terabyte written out": (
        lambda: written(repeated()),
        "column 'text' holds",
    ),
    "a run of a billion values": (lambda: written(runs()), "column 'text' holds run_end_encoded"),
    "lists of a billion nulls": (lambda: written(many_nulls()), "column 'text' holds list<"),
    "a view, which may name a text many times": (
        lambda: written(pa.array(["x" * 100] * 10, pa.string_view())),
        "column 'text' holds string_view",
    ),
    "a billion nulls for text": (lambda: written(pa.nulls(10**9)), "holds nothing but nulls"),
    "binary for text": (lambda: written(pa.array([b"x"])), "column 'text' holds binary"),
}
for name, (make, says) in FILES.items():
    add(KIND, name, partial(of_file, make, "a.arrow"), says)


def parquet(column: Any, **options: Any) -> bytes:
    """A Parquet file with a column ``text``."""
    made = io.BytesIO()
    pq.write_table(pa.table({"text": column}), made, **options)
    return made.getvalue()


def flipped(data: bytes, place: int) -> bytes:
    """With one byte changed."""
    changed = bytearray(data)
    changed[place] ^= 0xFF
    return bytes(changed)


SOME = pa.array([f"text {n}" for n in range(1000)])
NO_PARQUET = "a.parquet: not a whole Parquet file"
PARQUET: dict[str, tuple[Callable[[], bytes], str]] = {
    "no Parquet": (lambda: b"no Parquet file at all", NO_PARQUET),
    "nothing": (lambda: b"", NO_PARQUET),
    "a file that is cut off": (lambda: parquet(SOME)[:-100], NO_PARQUET),
    "a footer longer than the file": (
        lambda: b"PAR1" + struct.pack("<I", 0x7FFFFFFF) + b"PAR1",
        NO_PARQUET,
    ),
    "pages that are damaged": (
        lambda: flipped(parquet(SOME, compression="zstd"), 60),
        NO_PARQUET,
    ),
    "a quarter of a gigabyte compressed": (
        lambda: parquet(pa.array(["x" * (1 << 26)] * 4), compression="zstd"),
        "(a decompression bomb?)",
    ),
    "a text of a megabyte in each of a million rows": (
        lambda: parquet(repeated()),
        "(a decompression bomb?)",
    ),
    "a text of 50 MB in each of a hundred rows": (
        lambda: parquet(
            pa.DictionaryArray.from_arrays(pa.array([0] * 100), ["x" * (50 << 20)]),
            compression="zstd",
        ),
        "a.parquet, row 1: longer than",
    ),
    "twenty million nulls": (
        lambda: parquet(pa.nulls(20_000_000, pa.string())),
        "(a decompression bomb?)",
    ),
    "binary for text": (lambda: parquet(pa.array([b"x"])), "column 'text' holds binary"),
    "a column of nothing": (lambda: parquet(pa.nulls(9)), "holds nothing but nulls"),
}
for name, (make, says) in PARQUET.items():
    add("Parquet files", name, partial(of_file, make, "a.parquet"), says)
