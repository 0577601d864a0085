"""HDF5 files of measurements: one group per checkpoint, every dataset described.

A file is written whole or not at all, its bytes depend on its content alone, and plain h5py
reads it: ``h5py.File(path)["step00004096/token_losses"][:]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from zsl.errors import BrokenFileError, MeasurementError
from zsl.files import replacing
from zsl.hdf5 import UNREADABLE, member


@contextmanager
def writing(path: str | Path, **attributes: str | int | float) -> Iterator[h5py.File]:
    """A new HDF5 file that appears at ``path`` when the block succeeds."""
    with replacing(path) as temporary, h5py.File(temporary, "w", libver="v110") as file:
        for key, value in attributes.items():
            file.attrs[key] = value
        yield file


@contextmanager
def reading(path: str | Path) -> Iterator[h5py.File]:
    """An HDF5 file opened for reading.

    Raises MeasurementError when it is missing or was not written to its end.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise MeasurementError(f"{path}: no such file; make it first") from None
    except OSError as error:
        raise MeasurementError(
            f"{path}: not a whole HDF5 file ({error}); delete it and run again"
        ) from None
    with file:
        yield file


def checkpoints(file: h5py.File) -> Iterator[h5py.Group]:
    """The groups of a measurement file, one per checkpoint.

    Raises MeasurementError where the file holds anything else, or nothing.
    """
    try:
        names = sorted(file)
    except UNREADABLE as error:
        raise MeasurementError(
            f"{file.filename}: cannot be read ({error}); delete it and run again"
        ) from None
    if not names:
        raise MeasurementError(f"{file.filename}: holds no checkpoint; delete it and run again")
    for name in names:
        yield _group(file, name)


def tasks(checkpoint: h5py.Group) -> Iterator[tuple[str, h5py.Group]]:
    """The groups of a checkpoint, such as one per task, with their names; raises as above."""
    for name in sorted(checkpoint):
        yield name, _group(checkpoint, name)


def _group(parent: h5py.Group, name: str) -> h5py.Group:
    found = _member(parent, name)
    if not isinstance(found, h5py.Group):
        raise MeasurementError(f"{_where(found)} is no group; delete the file and run again")
    return found


def step_of(group: h5py.Group, name: str = "step") -> int:
    """The step that an attribute of a checkpoint's group names."""
    try:
        return int(group.attrs[name])
    except UNREADABLE:
        raise MeasurementError(
            f"{_where(group)}: its attribute {name} is no step; delete the file and run again"
        ) from None


def array(group: h5py.Group, name: str, axes: int) -> np.ndarray:
    """Numbers of a dataset that lies in this very file and has ``axes`` axes, none of them empty.

    Raises MeasurementError where it is not there, is of another kind, or cannot be read.
    """
    dataset = _member(group, name)
    number = isinstance(dataset, h5py.Dataset) and dataset.dtype.kind in "fiub"
    if not number or dataset.ndim != axes or (axes and not dataset.size):
        shape = getattr(dataset, "shape", None)
        raise MeasurementError(
            f"{_where(dataset)} has the shape {shape}, expected numbers along {axes} axes; delete "
            "the file and run again"
        )
    try:
        return np.asarray(dataset[()])
    except UNREADABLE as error:
        raise MeasurementError(
            f"{_where(dataset)} cannot be read ({error}); delete the file and run again"
        ) from None


def scalar(group: h5py.Group, name: str) -> float:
    """A single number; raises as :func:`array`."""
    return float(array(group, name, 0))


def _member(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    try:
        return member(group, name)
    except BrokenFileError as error:
        raise MeasurementError(str(error)) from None


def _where(item: h5py.Group | h5py.Dataset) -> str:
    return f"{item.file.filename}: {item.name}"


def write_dataset(
    group: h5py.Group,
    name: str,
    values: np.ndarray | float,
    *,
    description: str,
    units: str = "1",
    axes: Sequence[str] = (),
) -> None:
    """Write ``values`` with their unit, the names of their axes and a description.

    Arrays are shuffled and compressed in one chunk per leading 64 rows.
    """
    values = np.asarray(values)
    if values.ndim != len(axes):
        raise ValueError(f"{name}: {values.ndim} axes, but {len(axes)} names: {list(axes)}")
    options = {}
    if values.ndim > 0:
        chunks = (min(len(values), 64), *values.shape[1:])
        options = {"chunks": chunks, "shuffle": True, "compression": "gzip", "fletcher32": True}
    dataset = group.create_dataset(name, data=values, track_times=False, **options)
    dataset.attrs["units"] = units
    dataset.attrs["axes"] = ", ".join(axes)
    dataset.attrs["description"] = description
