"""Where two artifacts differ, in words."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from zsl.audit.changes import setting_changes
from zsl.errors import ZslError
from zsl.files import read_json, read_limited, sha256
from zsl.lineage.digests import sha256_of_folder

LARGEST = 1 << 28
"""Bytes of files that are compared byte by byte."""
SHOWN = 5
"""Differences that are said of one file."""
TEXT = (".csv", ".md", ".tex", ".html", ".svg", ".txt", ".sha256", ".yaml")


def where_different(before: Path, now: Path) -> list[str]:
    """The first places where two files or folders differ; empty where they are the same."""
    if before.is_dir() or now.is_dir():
        return _folders(before, now)
    if sha256(before) == sha256(now):
        return []
    try:
        return _places(before, now)
    except (ZslError, OSError, ValueError, RecursionError) as error:
        return [f"where they differ cannot be told: {error}"]


def _places(before: Path, now: Path) -> list[str]:
    if before.suffix == ".h5":
        return _hdf5(before, now)
    if before.suffix == ".json":
        old, new = (read_json(path) for path in (before, now))
        return [str(c) for c in setting_changes({"": old}, {"": new}, "value")][:SHOWN]
    return _lines(before, now) if before.suffix in TEXT else _bytes(before, now)


def _folders(before: Path, now: Path) -> list[str]:
    old, new = sha256_of_folder(before), sha256_of_folder(now)
    said = [f"{name} is only in one of them" for name in sorted(set(old) ^ set(new))]
    for name in old:
        if name in new and old[name] != new[name]:
            said += [f"{name}: {line}" for line in where_different(before / name, now / name)[:1]]
    return said[:SHOWN]


def _lines(before: Path, now: Path) -> list[str]:
    texts = [read_limited(path, LARGEST).decode().splitlines() for path in (before, now)]
    pairs = enumerate(zip_longest(*texts, fillvalue="(no line)"), 1)
    different = [(number, old, new) for number, (old, new) in pairs if old != new]
    said = [f"line {n}: {old[:80]} -> {new[:80]}" for n, old, new in different[: SHOWN - 1]]
    return [*said, f"{len(different)} lines differ in all"]


def _bytes(before: Path, now: Path) -> list[str]:
    old, new = (np.frombuffer(read_limited(path, LARGEST), np.uint8) for path in (before, now))
    size = min(len(old), len(new))
    different = np.flatnonzero(old[:size] != new[:size])
    first = int(different[0]) if len(different) else size
    return [
        f"the first different byte is number {first:,} of {len(old):,} and {len(new):,}; "
        f"{len(different):,} differ"
    ]


def _hdf5(before: Path, now: Path) -> list[str]:
    import h5py

    from zsl.hdf5 import member

    with h5py.File(before) as old, h5py.File(now) as new:
        names = [_datasets(file) for file in (old, new)]
        said = [f"{name} is only in one of them" for name in sorted(names[0] ^ names[1])]
        for name in sorted(names[0] & names[1]):
            said += _values(name, *(np.asarray(member(file, name)[()]) for file in (old, new)))
    return said[:SHOWN]


def _datasets(file: Any) -> set[str]:
    import h5py

    found: set[str] = set()
    file.visititems(lambda name, item: found.add(name) if isinstance(item, h5py.Dataset) else None)
    return found


def _values(name: str, old: np.ndarray, new: np.ndarray) -> list[str]:
    if old.shape != new.shape or old.dtype != new.dtype:
        return [f"{name}: {old.dtype} {old.shape} -> {new.dtype} {new.shape}"]
    number = np.issubdtype(old.dtype, np.number)
    different = ~np.isclose(old, new, rtol=0, atol=0, equal_nan=True) if number else old != new
    count = int(np.count_nonzero(different))
    if not count:
        return []
    place = tuple(int(index[0]) for index in np.nonzero(np.atleast_1d(different)))
    largest = f", by at most {np.nanmax(np.abs(old - new)):.3g}" if number else ""
    return [f"{name}: {count:,} of {old.size:,} values differ, the first at {place}{largest}"]
