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

from zsl.errors import MeasurementError
from zsl.files import replacing


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


def write_dataset(
    group: h5py.Group,
    name: str,
    values: np.ndarray,
    *,
    units: str,
    axes: Sequence[str],
    description: str,
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
