"""Whether a file of token ids is what it was declared to be, by looking at its numbers.

A headerless file says nothing about its numbers, and one read in another format than its own
mostly gives ids that exist: of a uint32 file read as uint16, every other one is 0. What is read
here is the beginning: numbers in a wider or narrower format, in the other byte order, or with a
fractional part, are ids all of them there, which those of the declared format cannot be by chance.
"""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zsl.errors import DataError
from zsl.foreign import what_it_is

SAMPLE = 1 << 20
"""Bytes that are looked at."""
FEWEST = 16
"""Numbers below which nothing is concluded: so many ids are not all below 1 by chance."""
LABEL_PADDING = -100
"""What transformers puts where no loss is to be computed: in ``labels``, never in ``input_ids``."""
LLM_C = (20240520, 20240801)
"""First numbers of llm.c's shards, of uint16 and of uint32."""
LLM_C_HEADER = 1024
"""Bytes before the tokens of these."""
WIDER = {"int64": "int64", "int32": "uint32"}
"""Formats that hold more than uint16, the widest first, and which to declare for each."""
LARGEST_OFFSET = 1 << 48
"""Bytes or tokens that no file has."""
_TEXT = frozenset(string.printable.encode())


def check_format(path: Path, origin: str, dtype: str, vocab_size: int) -> None:
    """Raise DataError, saying what it is, where a file is no array of ids of this ``dtype``."""
    if what := _container(path):
        raise DataError(
            f"{origin}: {what}; token ids are expected from the first byte on, as array.tofile "
            "writes them"
        )
    with path.open("rb") as file:
        head = file.read(SAMPLE)
    if what := looks_like(head, dtype, vocab_size):
        raise DataError(f"{origin}: declared as {dtype}, but its numbers look like {what}")


def looks_like(head: bytes, dtype: str, vocab_size: int) -> str | None:
    """In which other format than ``dtype`` the bytes are token ids, and what to do; else None."""
    declared = _numbers(head, f"<{np.dtype(dtype).str[1:]}")
    size = np.dtype(dtype).itemsize
    for wider, name in WIDER.items():
        if np.dtype(wider).itemsize > size and _ids(_numbers(head, wider), vocab_size):
            return f"{name}: declare dtype: {name}"
    for kind in ("<f4", "<f8"):
        if _ids(_numbers(head, kind), vocab_size):
            name = np.dtype(kind).name
            return f"{name}: write them as whole numbers, with array.astype('uint32').tofile"
    for kind in (">u4", ">i8"):
        if _ids(_numbers(head, kind), vocab_size):
            return _big_endian(kind)
    inside = _inside(declared, vocab_size)
    if inside.all():
        return None
    for narrower in ("uint32", "uint16"):
        smaller = np.dtype(narrower).itemsize < size and inside.mean() < 0.5
        if smaller and _ids(_numbers(head, narrower), vocab_size):
            return f"{narrower}: declare dtype: {narrower}"
    turned, small = _numbers(head, ">u2"), 1 << 8  # frequent tokens have small ids
    as_it_is = _numbers(head, "<u2")
    if _ids(turned, vocab_size) and (turned < small).mean() > 2 * (as_it_is < small).mean():
        return _big_endian(">u2")
    return None


def _big_endian(kind: str) -> str:
    name = np.dtype(kind).name
    return f"big-endian {name}: write them little-endian, with array.astype('<{kind[1:]}').tofile"


def _numbers(head: bytes, kind: str) -> npt.NDArray[Any]:
    item = np.dtype(kind).itemsize
    return np.frombuffer(head[: len(head) // item * item], kind)


def _ids(numbers: npt.NDArray[Any], vocab_size: int) -> bool:
    """Whether all numbers are ids, or the padding of labels, and not always the same one."""
    if len(numbers) < FEWEST or (numbers == numbers[0]).all():
        return False
    return bool(_inside(numbers, vocab_size).all())


def _inside(numbers: npt.NDArray[Any], vocab_size: int) -> npt.NDArray[np.bool_]:
    """Which numbers are ids, or the padding of labels."""
    with np.errstate(invalid="ignore"):
        whole = numbers == np.floor(numbers)
        ids = (numbers >= 0) & (numbers < vocab_size) & whole
        padding: npt.NDArray[np.bool_] = numbers.astype(np.float64) == LABEL_PADDING
    return ids | padding


def _container(path: Path) -> str | None:
    """What a file is that has something else than ids in it, and what to do; None if unknown."""
    if what := what_it_is(path):
        return what
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(SAMPLE)
        if len(head) >= 64 and _TEXT.issuperset(head):
            return "a text file: declare it as a source of kind: files"
        first = _numbers(head[:8], "<u4")
        if len(first) and int(first[0]) in LLM_C:
            dtype = ("uint16", "uint32")[LLM_C.index(int(first[0]))]
            return (
                f"a shard of llm.c, with a header of {LLM_C_HEADER} bytes: cut it off (tail -c "
                f"+{LLM_C_HEADER + 1} FILE) and declare dtype: {dtype}"
            )
        if len(first) == 2 and _starts_with_offsets(head, int(first[0]), size):
            return "a shard of LitData or of MosaicML's streaming, which begins with offsets"
    offsets = _numbers(head, "<u8").astype(np.float64)
    if len(offsets) >= FEWEST and (np.diff(offsets) > 0).all() and offsets[-1] < LARGEST_OFFSET:
        return "an index of offsets (datatrove's .ds.index?): the tokens are in the file beside it"
    return None


def _starts_with_offsets(head: bytes, items: int, size: int) -> bool:
    """Whether ``items`` offsets up to the end of a file stand at its beginning."""
    begin = 4 + 4 * (items + 1)
    if items < 1 or begin > size:
        return False
    offsets = _numbers(head[4:begin], "<u4").astype(np.int64)
    whole = len(offsets) == items + 1
    ends = not whole or offsets[-1] == size
    return bool(offsets[0] >= begin and (np.diff(offsets) >= 0).all() and ends)
