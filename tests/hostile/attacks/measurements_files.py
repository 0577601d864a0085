"""HDF5 files of measurements, as curves, digests and audits read them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from attacks import rows

KIND = "measurements in HDF5"
LOSSES = np.linspace(1, 2, 60, dtype=np.float32).reshape(4, 15)
Spoil = Callable[[h5py.File], object]


def group_of(file: h5py.File, step: int = 1) -> h5py.Group:
    group = file.require_group(f"step{step:08d}")
    group.attrs["step"] = step
    return group


def curve_of(path: Path) -> None:
    from zsl.curves.measured import eval_loss_curve

    eval_loss_curve("main-a", [path])


def of_file(spoil: Spoil, read: Callable[[Path], object], project: Path) -> Iterator[None]:
    """A file of token losses with something hostile in it."""
    path = project / "results" / "small" / "measurements" / "losses.h5"
    path.parent.mkdir(parents=True)
    (project / "other.bin").write_bytes(b"\0\0\0\0" * 1000)
    with h5py.File(project / "other.h5", "w") as other:
        other["x"] = LOSSES
    with h5py.File(path, "w") as file:
        spoil(file)
    yield
    read(path)


def bomb(file: h5py.File, mebibytes: int = 1500) -> None:
    """A chunk that is declared to have 240 bytes."""
    made = group_of(file).create_dataset(
        "token_losses", LOSSES.shape, "f4", chunks=LOSSES.shape, compression="gzip"
    )
    maker = zlib.compressobj(9)
    start, block = [maker.compress(bytes(1 << 20)) + maker.flush(zlib.Z_FULL_FLUSH) for _ in "ab"]
    data = start + block * mebibytes
    made.id.write_direct_chunk((0, 0), data, 0)


def external(file: h5py.File) -> None:
    files = [("../../../other.bin", 0, 240)]
    group_of(file).create_dataset("token_losses", LOSSES.shape, "f4", external=files)


def filtered(file: h5py.File, *numbers: int) -> None:
    """A dataset with filters by their numbers."""
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk(LOSSES.shape)
    for number in numbers:
        settings.set_filter(number, h5py.h5z.FLAG_OPTIONAL, (1,))
    space = h5py.h5s.create_simple(LOSSES.shape)
    group = group_of(file)
    h5py.h5d.create(group.id, b"token_losses", h5py.h5t.NATIVE_FLOAT, space, settings)


def declared(file: h5py.File, shape: tuple[int, ...], **settings: Any) -> None:
    group_of(file).create_dataset("token_losses", shape, "f4", **settings)


def put(name: str, value: Any) -> Spoil:
    """A value in the group of a checkpoint."""
    return lambda file: group_of(file).__setitem__(name, value)


def digest_of(path: Path) -> None:
    from zsl.lineage.hdf5 import logical_sha256

    logical_sha256(path)


def deep(file: h5py.File) -> None:
    group = file
    for _ in range(3000):
        group = group.create_group("g")


SPOILT: dict[str, tuple[Spoil, str]] = {
    "losses that are a link to another file": (
        put("token_losses", h5py.ExternalLink("../../../other.h5", "x")),
        "losses.h5: /step00000001/token_losses is a link",
    ),
    "losses that are bytes of another file": (external, "has its values in other files"),
    "a trillion losses in no bytes": (
        partial(declared, shape=(10**6, 10**6), chunks=(64, 64)),
        "declares 4,000,000,000,000 bytes",
    ),
    "a chunk that is a decompression bomb": (bomb, "a chunk that is larger than declared"),
    "a filter that is loaded from a library": (
        lambda file: filtered(file, 32015),
        "is stored with filters [32015]",
    ),
    "losses that are text": (put("token_losses", [["a"]]), "expected numbers along 2 axes"),
}
rows(KIND, lambda spoil, project: of_file(spoil, curve_of, project), SPOILT)
rows(
    KIND,
    lambda spoil, project: of_file(spoil, digest_of, project),
    {
        "a digest of groups in one another 3,000 deep": (deep, "cannot be read as HDF5"),
        "a digest of bytes of another file": (external, "has its values in other files"),
        "a digest of a decompression bomb": (bomb, "a chunk that is larger than declared"),
    },
)


def of_bytes(change: Callable[[bytes], bytes], project: Path) -> Iterator[None]:
    """A good file of which the bytes are changed."""
    from zsl.measurements.hdf5 import write_dataset, writing

    path = project / "results" / "small" / "measurements" / "losses.h5"
    with writing(path) as file:
        names = ("sequences", "positions")
        write_dataset(
            group_of(file), "token_losses", LOSSES, units="nats", axes=names, description=""
        )
    path.write_bytes(change(path.read_bytes()))
    yield
    curve_of(path)


def flipped(data: bytes) -> bytes:
    """One bit of the values is another."""
    place = data.index(zlib.compress(b"", 4)[:1], len(data) // 2)
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


NOT_WHOLE = "losses.h5: not a whole HDF5 file"
BYTES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a file that is cut off": (lambda data: data[: len(data) // 2], NOT_WHOLE),
    "a pickle": (lambda data: b"\x80\x04\x95cposix\nsystem\n", NOT_WHOLE),
    "values of which a bit was flipped": (flipped, "cannot be read"),
}
rows(KIND, of_bytes, BYTES)
