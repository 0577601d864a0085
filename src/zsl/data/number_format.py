"""Whether a file of token ids is what it was declared to be, by looking at its beginning.

A headerless file says nothing about its numbers, and one read in another format than its own
mostly gives ids that exist: of a uint32 file read as uint16, every other one is 0. Numbers in a
wider or narrower format are ids all of them there, which those of the declared format cannot be by
chance.
"""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np

from zsl.errors import DataError
from zsl.foreign import what_it_is

SAMPLE = 1 << 20
"""Bytes that are looked at."""
FEWEST = 16
"""Numbers below which nothing is concluded: so many ids are not all below 1 by chance."""
WIDER = {"int64": "int64", "int32": "uint32"}
"""Formats that hold more than uint16, the widest first, and which to declare for each."""
LLM_C = {20240520: "uint16", 20240801: "uint32"}
"""First numbers of llm.c's shards, which have a header of 1024 bytes, and what follows."""
_TEXT = frozenset(string.printable.encode())


def check_format(path: Path, origin: str, dtype: str, vocab_size: int) -> None:
    """Raise DataError, saying what it is, where a file is no array of ids of this ``dtype``."""
    with path.open("rb") as file:
        head = file.read(SAMPLE)
    if what := what_it_is(path) or _container(head):
        raise DataError(
            f"{origin}: {what}; token ids are expected from the first byte on, as array.tofile "
            "writes them"
        )
    check_numbers(head, origin, dtype, vocab_size)


def check_numbers(head: bytes, origin: str, dtype: str, vocab_size: int) -> None:
    """Raise DataError where bytes of a file are ids of another format than ``dtype``."""
    if what := looks_like(head, dtype, vocab_size):
        raise DataError(
            f"{origin}: declared as {dtype}, but its numbers look like {what}: declare dtype: "
            f"{what}"
        )


def looks_like(head: bytes, dtype: str, vocab_size: int) -> str | None:
    """In which other format than ``dtype`` the bytes are token ids; None: in no other."""
    size = np.dtype(dtype).itemsize
    for wider, name in WIDER.items():
        if np.dtype(wider).itemsize > size and _share(head, wider, vocab_size) == 1:
            return name
    for narrower in ("uint32", "uint16"):
        few = np.dtype(narrower).itemsize < size and _share(head, dtype, vocab_size) < 0.5
        if few and _share(head, narrower, vocab_size) == 1:
            return narrower
    return None


def _share(head: bytes, dtype: str, vocab_size: int) -> float:
    """Share of the numbers that are ids; 0 where they are few or all the same one."""
    item = np.dtype(dtype).itemsize
    numbers = np.frombuffer(head[: len(head) // item * item], np.dtype(dtype).newbyteorder("<"))
    if len(numbers) < FEWEST or (numbers == numbers[0]).all():
        return 0
    return float(((numbers >= 0) & (numbers < vocab_size)).mean())


def _container(head: bytes) -> str | None:
    """What a file is that has something else than ids in it, and what to do; None if unknown."""
    if len(head) >= 64 and _TEXT.issuperset(head):
        return "a text file: declare it as a source of kind: files"
    if dtype := LLM_C.get(int.from_bytes(head[:4], "little")):
        return (
            "a shard of llm.c, with a header of 1024 bytes: cut it off (tail -c +1025 FILE) and "
            f"declare dtype: {dtype}"
        )
    return None
