"""The logical digest of an HDF5 file: what it says, not how it is laid out."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zsl.hdf5 import UNREADABLE, problem
from zsl.lineage.errors import LineageError

SLAB = 1 << 26
"""Bytes of a dataset that are read at once."""


def logical_sha256(path: str | Path) -> str:
    """SHA-256 over the paths of groups and datasets, with dtype, shape, values, attributes.

    Independent of chunks, compression, the order in which things were made and unused space.
    Values count as bytes: 0.0 and -0.0 differ, and so do byte orders. Soft and external links
    count as what they are and are not followed.

    Raises :class:`LineageError` where the file is not HDF5 or holds references.
    """
    digest = _Digest(Path(path))
    try:
        with h5py.File(path, "r") as file:
            digest.group("/", file)
    except (*UNREADABLE, zlib.error, RecursionError) as error:
        raise LineageError(
            f"{path} cannot be read as HDF5 ({error}): it is damaged. Delete it and run again"
        ) from error
    return digest.sha256.hexdigest()


class _Digest:
    """A walk through one file; every part is hashed with its length before it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sha256 = hashlib.sha256()
        self.visited: dict[Any, str] = {}

    def add(self, *parts: str | bytes) -> None:
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            self.sha256.update(len(data).to_bytes(8, "little") + data)

    def group(self, name: str, group: h5py.Group) -> None:
        self.add("group", name)
        self.attributes(group)
        for key in sorted(group):
            self.member(f"{name.rstrip('/')}/{key}", group, key)

    def member(self, name: str, group: h5py.Group, key: str) -> None:
        link = group.get(key, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            return self.add("external link", name, link.filename, link.path)
        if isinstance(link, h5py.SoftLink):
            return self.add("soft link", name, link.path)
        item = group[key]
        first = self.visited.setdefault(h5py.h5o.get_info(item.id).addr, name)
        if first != name:
            return self.add("same as", name, first)
        if isinstance(item, h5py.Group):
            return self.group(name, item)
        if isinstance(item, h5py.Datatype):
            return self.add("type", name, self.dtype(item.dtype, name))
        if wrong := problem(item):
            raise LineageError(f"{self.path}: {name} {wrong}, so that it has no digest")
        self.add("dataset", name, self.dtype(item.dtype, name), repr(item.shape))
        self.attributes(item)
        if item.shape is not None:
            self.values(item)

    def values(self, dataset: h5py.Dataset) -> None:
        """Values in C order, slab by slab along the first axis."""
        if not dataset.shape or dataset.size == 0:
            return self.array(np.asarray(dataset[()]))
        row = max(1, dataset.dtype.itemsize * dataset.size // dataset.shape[0])
        rows = max(1, SLAB // row)
        if dataset.chunks:
            rows = -(-rows // dataset.chunks[0]) * dataset.chunks[0]
        for start in range(0, dataset.shape[0], rows):
            self.array(np.asarray(dataset[start : start + rows]))

    def attributes(self, item: h5py.Group | h5py.Dataset) -> None:
        for name in sorted(item.attrs):
            handle = item.attrs.get_id(name)
            value = item.attrs[name]
            where = f"{item.name}@{name}"
            self.add("attribute", name, self.dtype(handle.dtype, where))
            if isinstance(value, h5py.Empty):
                self.add("empty")
            else:
                self.add(repr(handle.shape))
                self.array(np.asarray(value, dtype=object if handle.dtype.hasobject else None))

    def array(self, values: np.ndarray) -> None:
        """Plain values as bytes without a frame, so that slabs do not show; others one by one."""
        if not values.dtype.hasobject:
            return self.sha256.update(np.ascontiguousarray(values).tobytes())
        for value in values.ravel():
            if isinstance(value, np.ndarray):
                self.add(repr(value.shape))
                self.array(value)
            else:
                self.add(value)

    def dtype(self, dtype: np.dtype, where: str) -> str:
        """A dtype in words; HDF5's own kinds are metadata of numpy's."""
        text = h5py.check_string_dtype(dtype)
        if text is not None:
            return f"string {text.encoding} {text.length}"
        element = h5py.check_vlen_dtype(dtype)
        if element is not None:
            return f"sequences of {self.dtype(np.dtype(element), where)}"
        if dtype.hasobject:
            raise LineageError(f"{self.path}: {where} holds references, which have no digest")
        if dtype.subdtype is not None:
            return f"{dtype.shape} of {self.dtype(dtype.subdtype[0], where)}"
        if dtype.names is not None:
            fields = [(name, self.dtype(dtype[name], where)) for name in dtype.names]
            return f"fields {fields}"
        members = h5py.check_enum_dtype(dtype)
        return f"{dtype.str} {sorted(members.items()) if members else ''}"
