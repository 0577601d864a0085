"""Where two artifacts differ, in words."""

from __future__ import annotations

import hashlib
import re
import zlib
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from zsl.audit.changes import setting_changes, shortened
from zsl.errors import ZslError
from zsl.files import SMALL, read_json, read_limited, sha256
from zsl.lineage.digests import logical_sha256, sha256_of_folder

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
        return _json(before, now)
    if before.suffix == ".pdf":
        return _pdf(before, now)
    return _lines(before, now) if before.suffix in TEXT else _bytes(before, now)


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
    return said or ["the values are the same, written otherwise", *_lines(before, now)]


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
    more = abs(len(old) - len(new))
    return [
        f"the first different byte, counted from 1, is number {first + 1:,} of {len(old):,} and "
        f"{len(new):,}; {len(different):,} differ"
        + (f", {more:,} are only in one of them" if more else "")
    ]


def _pdf(before: Path, now: Path) -> list[str]:
    try:
        old, new = (_objects(path) for path in (before, now))
    except zlib.error as error:
        return [f"a stream of it is damaged: {error}", *_bytes(before, now)]
    if not old or not new:
        return _bytes(before, now)
    names = sorted((n for n in {*old, *new} if old.get(n) != new.get(n)), key=int)
    if names:
        drawn = any(n in old and n in new and old[n][1] != new[n][1] for n in names)
        listed = b", ".join(names[:SHOWN]).decode() + (", ..." if names[SHOWN:] else "")
        said = f"what is drawn {'differs' if drawn else 'may differ'}: objects {listed} of the file"
    else:
        said = "what is drawn is the same; the file's layout or document information differs"
    return [said, *_bytes(before, now)]


def _objects(path: Path) -> dict[bytes, tuple[bytes, str]]:
    """What a PDF draws: its objects by number, each as its text and the digest of its stream.

    Streams count as they are when decompressed. The document information, metadata, lengths of
    streams and the table of objects are left out.
    """
    data = read_limited(path, LARGEST)
    found = {}
    skipped = {*re.findall(rb"/(?:Info|Length) (\d+) \d+ R", data)}
    for number, body in re.findall(rb"(?:^|[\r\n])(\d+) \d+ obj\b(.*?)\bendobj\b", data, re.DOTALL):
        head, _, stream = body.partition(b"stream")
        if number in skipped or re.search(rb"/Type\s*/(Metadata|XRef)\b", head):
            continue
        stream = stream.removeprefix(b"\r").removeprefix(b"\n")
        if re.search(rb"/Filter\s*/FlateDecode\b", head):
            stream = zlib.decompressobj().decompress(stream, SMALL)
        text = re.sub(rb"/Length \d+( \d+ R)?|/Filter\s*/FlateDecode\b", b"", head)
        found[number] = b" ".join(text.split()), hashlib.sha256(stream).hexdigest()
    return found


def _hdf5(before: Path, now: Path) -> list[str]:
    import h5py

    from zsl.hdf5 import member

    with h5py.File(before) as old, h5py.File(now) as new:
        names = [_members(file) for file in (old, new)]
        said = [f"{name} is only in one of them" for name in sorted(names[0] ^ names[1])]
        said += _attributes("the file", old, new)
        for name in sorted(names[0] & names[1]):
            one, other = (member(file, name) for file in (old, new))
            said += _attributes(name, one, other)
            datasets = [isinstance(item, h5py.Dataset) for item in (one, other)]
            if all(datasets):
                said += _values(name, *(np.asarray(item[()]) for item in (one, other)))
            elif any(datasets):
                said.append(f"{name} is a dataset in one of them and a group in the other")
    if said:
        return said[:SHOWN]
    same = logical_sha256(before) == logical_sha256(now)
    return [f"the values are the same, {'the layout differs' if same else 'links or types differ'}"]


def _members(file: Any) -> set[str]:
    import h5py

    found: set[str] = set()
    kinds = h5py.Group | h5py.Dataset
    file.visititems(lambda name, item: found.add(name) if isinstance(item, kinds) else None)
    return found


def _attributes(name: str, old: Any, new: Any) -> list[str]:
    said = []
    for key in sorted({*old.attrs, *new.attrs}):
        where = f"attribute {key} of {name}"
        if key in old.attrs and key in new.attrs:
            said += _values(where, *(_array(item.attrs[key]) for item in (old, new)))
        else:
            said.append(f"{where} is only in one of them")
    return said


def _array(value: Any) -> np.ndarray:
    return np.asarray(value, dtype=object if isinstance(value, str) else None)


def _values(name: str, old: np.ndarray, new: np.ndarray) -> list[str]:
    if old.shape != new.shape or old.dtype != new.dtype:
        return [f"{name}: {old.dtype} {old.shape} -> {new.dtype} {new.shape}"]
    different = _different(old, new)
    count = int(np.count_nonzero(different))
    if not count:
        return []
    if old.ndim == 0:
        return [f"{name}: {' -> '.join(shortened(old.item(), new.item()))}"]
    place = tuple(int(index[0]) for index in np.nonzero(different))
    largest = _largest(old[different], new[different])
    return [f"{name}: {count:,} of {old.size:,} values differ, the first at {place}{largest}"]


def _different(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Where the bytes of two arrays differ: -0.0 is not 0.0, and NaN is NaN."""
    if old.dtype.hasobject:
        pairs = zip(old.ravel(), new.ravel(), strict=True)
        return np.array([not np.array_equal(a, b) for a, b in pairs], bool).reshape(old.shape)
    if not old.nbytes:
        return np.zeros(old.shape, bool)
    one, other = (np.frombuffer(values.tobytes(), np.uint8) for values in (old, new))
    return np.asarray((one != other).reshape(*old.shape, -1).any(axis=-1))


def _largest(old: np.ndarray, new: np.ndarray) -> str:
    """By how much numbers differ, in words; nothing for what are no numbers."""
    if not np.issubdtype(old.dtype, np.number):
        return ""
    wide = np.result_type(old.dtype, np.longdouble)
    with np.errstate(invalid="ignore"):
        gaps = np.abs(old.astype(wide) - new.astype(wide))
    finite = gaps[np.isfinite(gaps)]
    if not finite.size:
        return ", by NaN or infinity"
    most = float(finite.max())
    some = "" if len(finite) == len(gaps) else " where both are finite"
    return f", by at most {most:.3g}{some}" if most else f", by the sign of zero{some}"
