"""HDF5 files of measurements, as curves, digests and audits read them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from attacks import add, row

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


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(LOSSES.shape, "f4")
    layout[:] = h5py.VirtualSource("../../../other.h5", "x", LOSSES.shape)
    group_of(file).create_virtual_dataset("token_losses", layout)


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


def stepless(value: Any) -> Spoil:
    """Losses of a checkpoint with this for its step."""

    def spoil(file: h5py.File) -> None:
        group = group_of(file)
        group["token_losses"] = LOSSES
        del group.attrs["step"]
        if value is not None:
            group.attrs["step"] = value

    return spoil


def referenced(file: h5py.File) -> None:
    group = group_of(file)
    group.create_dataset("token_losses", (4, 15), h5py.ref_dtype)


SPOILT: dict[str, tuple[Spoil, str]] = {
    "losses that are a link to another file": (
        put("token_losses", h5py.ExternalLink("../../../other.h5", "x")),
        "losses.h5: /step00000001/token_losses is a link",
    ),
    "a checkpoint that is a link to another file": (
        lambda file: file.__setitem__("step00000001", h5py.ExternalLink("../../../other.h5", "/")),
        "losses.h5: /step00000001 is a link",
    ),
    "losses that are a link to themselves": (
        put("token_losses", h5py.SoftLink("/step00000001/token_losses")),
        "token_losses is a link",
    ),
    "losses that are views of another file": (virtual, "has its values in other files"),
    "losses that are bytes of another file": (external, "has its values in other files"),
    "a trillion losses in no bytes": (
        partial(declared, shape=(10**6, 10**6), chunks=(64, 64)),
        "declares 4,000,000,000,000 bytes",
    ),
    "a chunk of 4 GB in no bytes": (
        partial(
            declared,
            shape=(4, 15),
            maxshape=(None, None),
            chunks=(10**5, 10**4),
            compression="gzip",
        ),
        "declares 4,000,000,000 bytes",
    ),
    "a chunk that is a decompression bomb": (bomb, "a chunk that is larger than declared"),
    "a filter that is loaded from a library": (
        lambda file: filtered(file, 32015),
        "is stored with filters [32015]",
    ),
    "gzip within gzip": (
        lambda file: filtered(file, 1, 1),
        "is stored with filters [1, 1]",
    ),
    "no losses": (group_of, "token_losses is not there"),
    "losses along one axis": (put("token_losses", LOSSES[0]), "expected numbers along 2 axes"),
    "losses of no tokens": (put("token_losses", LOSSES[:0]), "expected numbers along 2 axes"),
    "losses that are text": (put("token_losses", [["a"]]), "expected numbers along 2 axes"),
    "losses that are references": (referenced, "expected numbers along 2 axes"),
    "losses that are a type": (put("token_losses", np.dtype("f4")), "is a link or no dataset"),
    "losses that are a group": (
        lambda file: group_of(file).create_group("token_losses"),
        "expected numbers along 2 axes",
    ),
    "a dataset for a checkpoint": (
        lambda file: file.__setitem__("step00000001", LOSSES),
        "is no group",
    ),
    "no checkpoints": (lambda file: None, "holds no checkpoint"),
    "a checkpoint without a step": (stepless(None), "its attribute step is no step"),
    "a checkpoint whose step is text": (stepless("first"), "its attribute step is no step"),
    "a checkpoint whose step is a list": (stepless([1, 2]), "its attribute step is no step"),
    "a checkpoint whose step is empty": (
        stepless(h5py.Empty("i8")),
        "its attribute step is no step",
    ),
}
for name, (spoil, says) in SPOILT.items():
    add(KIND, name, partial(of_file, spoil, curve_of), says)


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
for name, change, says in (
    ("no HDF5", lambda data: b"no HDF5", NOT_WHOLE),
    ("nothing", lambda data: b"", NOT_WHOLE),
    ("a file that is cut off", lambda data: data[: len(data) // 2], NOT_WHOLE),
    ("a pickle", lambda data: b"\x80\x04\x95cposix\nsystem\n", NOT_WHOLE),
    ("zeros after the first bytes", lambda data: data[:100] + bytes(len(data) - 100), "losses.h5"),
    ("values of which a bit was flipped", flipped, "cannot be read"),
):
    add(KIND, name, partial(of_bytes, change), says)


@row(KIND, "losses of two checkpoints that are not of the same tokens", "tokens at step 2, of")
def shapes(project: Path) -> Iterator[None]:
    from zsl.measurements.delta_loss import measure_delta_loss

    path = project / "losses.h5"
    with h5py.File(path, "w") as file:
        group_of(file, 1)["token_losses"] = LOSSES
        group_of(file, 2)["token_losses"] = LOSSES[:1]
    yield
    out = project / "results" / "x.h5"
    measure_delta_loss([(1, 2)], {1: path, 2: path}, out, run="main-a", resamples=100, seed=0)


def digest_of(path: Path) -> None:
    from zsl.lineage.hdf5 import logical_sha256

    logical_sha256(path)


def deep(file: h5py.File) -> None:
    group = file
    for _ in range(3000):
        group = group.create_group("g")


DIGESTED: dict[str, tuple[Spoil, str]] = {
    "groups in one another 3,000 deep": (deep, "cannot be read as HDF5"),
    "views of another file": (virtual, "has its values in other files"),
    "bytes of another file": (external, "has its values in other files"),
    "a trillion values in no bytes": (
        partial(declared, shape=(1, 10**12), chunks=(1, 64)),
        "declares 4,000,000,000,000 bytes",
    ),
    "a decompression bomb": (bomb, "a chunk that is larger than declared"),
}
for name, (spoil, says) in DIGESTED.items():
    add(KIND, f"a digest of {name}", partial(of_file, spoil, digest_of), says)


@row(KIND, "a comparison with a decompression bomb", None)
def compared(project: Path) -> Iterator[None]:
    from zsl.audit.different import where_different

    one, other = project / "a.h5", project / "b.h5"
    for path, spoil in ((one, put("token_losses", LOSSES)), (other, bomb)):
        with h5py.File(path, "w") as file:
            spoil(file)
    yield
    (said,) = where_different(one, other)
    assert "a chunk that is larger than declared" in said


@row(KIND, "arrays of a checkpoint that are not of one length", "arrays of one length have [2, 3]")
def lengths(project: Path) -> Iterator[None]:
    from zsl.curves.measured import landscapes

    path = project / "a.h5"
    with h5py.File(path, "w") as file:
        group = group_of(file)
        group["alpha"], group["mean_cross_section"] = np.zeros(3), np.zeros(2)
    yield
    landscapes("main-a", [path])


@row(KIND, "changes of other tokens than those of the evaluation set", "has changes of (4, 15)")
def grouped(project: Path) -> Iterator[None]:
    from zsl.curves.breakdown import breakdown, by_position

    path = project / "a.h5"
    with h5py.File(path, "w") as file:
        group = group_of(file)
        group["delta_loss"], group.attrs["step_next"] = LOSSES, 2
    yield
    breakdown("main-a", [path], [by_position((5, 15), 3)])
