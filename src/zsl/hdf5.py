"""What of an HDF5 file may be read: values that lie in this very file and fit into memory.

HDF5 follows links and virtual datasets into other files, loads filters from shared libraries, and
makes as many values as a dataset declares, or as a compressed chunk comes to, however few bytes
there are. Nothing of ours needs that, so it is refused before a value is read.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import h5py

from zsl.errors import BrokenFileError
from zsl.files import is_bomb

FILTERS = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_LZF,  # what it compresses to a byte is less than EXPANSION
}
"""What our own files are written with, and what h5py brings."""
HARMLESS = 1 << 16
"""Compressed bytes that come to less than 64 MiB, whatever they are."""
CHECKSUM = 4
"""Bytes that fletcher32 adds to a chunk."""
UNREADABLE = (OSError, RuntimeError, ValueError, LookupError, TypeError, MemoryError)
"""What h5py raises where a file is damaged inside."""


def member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """What is called ``name`` in ``group``, such as ``D_hist/edges``, and lies in the same file.

    Raises BrokenFileError where there is no such thing, it is a link that leads elsewhere, it is
    damaged, or its values may not be read (see the module).
    """
    found: h5py.Group | h5py.Dataset = group
    where = f"{group.file.filename}: {group.name.rstrip('/')}/{name}"
    for part in name.split("/"):
        try:
            link = found.get(part, getlink=True) if isinstance(found, h5py.Group) else None
            found = found[part] if isinstance(link, h5py.HardLink) else None
        except UNREADABLE as error:
            raise BrokenFileError(
                f"{where} cannot be read ({error}); make the file again"
            ) from None
        if not isinstance(found, h5py.Group | h5py.Dataset):
            said = "is not there" if link is None else "is a link or no dataset"
            raise BrokenFileError(f"{where} {said}; make the file again")
    if isinstance(found, h5py.Dataset):
        try:
            wrong = problem(found)
        except (*UNREADABLE, zlib.error) as error:
            wrong = f"is damaged: {error}"
        if wrong:
            raise BrokenFileError(f"{where} {wrong}; make the file again")
    return found


def problem(dataset: h5py.Dataset) -> str | None:
    """Why the values of a dataset may not be read; None where they may."""
    if dataset.is_virtual or dataset.external:
        return "has its values in other files"
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(n)[0] for n in range(settings.get_nfilters())]
    if not FILTERS.issuperset(filters) or len(set(filters)) < len(filters):
        return f"is stored with filters {filters}, expected gzip, lzf, shuffle, fletcher32"
    stored = Path(dataset.file.filename).stat().st_size
    for shape in (dataset.shape or (), dataset.chunks or ()):
        size = math.prod(map(int, shape)) * dataset.dtype.itemsize
        if is_bomb(size, stored):
            return f"declares {size:,} bytes, which a file of {stored:,} does not hold"
    if h5py.h5z.FILTER_DEFLATE in filters and _inflates(
        dataset, filters.index(h5py.h5z.FILTER_DEFLATE)
    ):
        return "has a chunk that is larger than declared (a decompression bomb?)"
    return None


def _inflates(dataset: h5py.Dataset, number: int) -> bool:
    """Whether a chunk comes to more bytes than it should, all of which HDF5 would make.

    ``number`` is the place of gzip among the filters, some of which a chunk may have skipped.
    """
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize + CHECKSUM
    large: list[tuple[int, ...]] = []

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        if chunk.size > HARMLESS and not chunk.filter_mask >> number & 1:
            large.append(chunk.chunk_offset)

    dataset.id.chunk_iter(note)
    for offset in large:
        _, data = dataset.id.read_direct_chunk(offset)
        inflated = zlib.decompressobj()
        if len(inflated.decompress(data, size)) == size and inflated.decompress(
            inflated.unconsumed_tail, 1
        ):
            return True
    return False
