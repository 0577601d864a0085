"""Where two artifacts differ, in words."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from zsl.audit.changes import setting_changes, shortened
from zsl.errors import ZslError
from zsl.files import read_json, read_limited, sha256
from zsl.lineage.digests import sha256_of_folder

LARGEST = 1 << 28
"""Bytes of files that are compared byte by byte."""
SHOWN = 5
"""Differences that are said of one file."""
SAME = "the values are the same, written otherwise"
TEXT = (".csv", ".md", ".tex", ".html", ".svg", ".txt", ".sha256", ".yaml")


def where_different(before: Path, now: Path) -> list[str]:
    """The first places where two files or folders differ; empty where they are the same."""
    if before.is_dir() or now.is_dir():
        return _folders(before, now)
    if sha256(before) == sha256(now):
        return []
    places = {".h5": _hdf5, ".json": _json, **dict.fromkeys(TEXT, _lines)}
    try:
        return places.get(before.suffix, _bytes)(before, now)
    except (ZslError, OSError, ValueError, RecursionError) as error:
        return [f"where they differ cannot be told: {error}"]


def _folders(before: Path, now: Path) -> list[str]:
    old, new = sha256_of_folder(before), sha256_of_folder(now)
    said = [f"{name} is only in one of them" for name in sorted(set(old) ^ set(new))]
    for name in old:
        if name in new and old[name] != new[name]:
            said += [f"{name}: {line}" for line in where_different(before / name, now / name)[:1]]
    return said[:SHOWN]


def _json(before: Path, now: Path) -> list[str]:
    old, new = (read_json(path) for path in (before, now))
    said = [str(c) for c in setting_changes({"": old}, {"": new}, "value")][:SHOWN]
    return said or [SAME]


def _lines(before: Path, now: Path) -> list[str]:
    texts = [read_limited(path, LARGEST).decode().splitlines() for path in (before, now)]
    pairs = enumerate(zip_longest(*texts, fillvalue="(no line)"), 1)
    different = [(number, old, new) for number, (old, new) in pairs if old != new]
    if not different:
        return ["the lines are the same, only how they end (or whether the last one does) differs"]
    said = [f"line {n}: {' -> '.join(shortened(a, b))}" for n, a, b in different[: SHOWN - 1]]
    return [*said, f"{len(different)} lines differ in all"]


def _bytes(before: Path, now: Path) -> list[str]:
    old, new = (np.frombuffer(read_limited(path, LARGEST), np.uint8) for path in (before, now))
    size = min(len(old), len(new))
    different = np.flatnonzero(old[:size] != new[:size])
    first = int(different[0]) if len(different) else size
    return [
        f"the first different byte, counted from 1, is number {first + 1:,} of {len(old):,} and "
        f"{len(new):,}; {len(different):,} differ"
    ]


def _hdf5(before: Path, now: Path) -> list[str]:
    import h5py

    with h5py.File(before) as old, h5py.File(now) as new:
        a, b = _items(old), _items(new)
        said = [f"{_called(*item)} is only in one of them" for item in sorted(a ^ b)]
        for item in sorted(a & b):
            said += _arrays(_called(*item), _array(old, *item), _array(new, *item))
    return said[:SHOWN] or [SAME]


def _items(file: Any) -> set[tuple[str, str]]:
    """All that holds values: datasets by name, and attributes by the name of what has them and
    their own."""
    import h5py

    names = [""]
    file.visit(names.append)
    items = {name: _member(file, name) for name in names}
    values = {(name, "") for name, item in items.items() if isinstance(item, h5py.Dataset)}
    return values | {(name, key) for name, item in items.items() for key in item.attrs}


def _called(name: str, attribute: str) -> str:
    return f"attribute {attribute} of {name or 'the file'}" if attribute else name


def _member(file: Any, name: str) -> Any:
    """What is called so; raises BrokenFileError where it may not be read."""
    from zsl.hdf5 import member

    return member(file, name) if name else file


def _array(file: Any, name: str, attribute: str) -> np.ndarray:
    item = _member(file, name)
    value = item.attrs[attribute] if attribute else item[()]
    return np.asarray(value, object if isinstance(value, str) else None)


def _arrays(name: str, old: np.ndarray, new: np.ndarray) -> list[str]:
    """In how many values two arrays differ, and by how much; NaN is NaN."""
    if old.shape != new.shape or old.dtype != new.dtype:
        return [f"{name}: {old.dtype} {old.shape} -> {new.dtype} {new.shape}"]
    different = np.asarray(old != new)
    if np.issubdtype(old.dtype, np.inexact):
        different &= ~(np.isnan(old) & np.isnan(new))
    if not different.any():
        return []
    if old.ndim == 0:
        return [f"{name}: {' -> '.join(shortened(old.item(), new.item()))}"]
    place = tuple(int(index[0]) for index in np.nonzero(different))
    n = np.count_nonzero(different)
    said = f"{name}: {n:,} of {old.size:,} values differ, the first at {place}"
    if np.issubdtype(old.dtype, np.number):
        wide = np.result_type(old.dtype, np.longdouble)
        most = float(np.abs(old[different].astype(wide) - new[different].astype(wide)).max())
        said += f", by at most {most:.3g}" if np.isfinite(most) else ", by NaN or infinity"
    return [said]
