"""Token ids in NumPy files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zsl.errors import MeasurementError
from zsl.foreign import what_it_is
from zsl.measurements.token_ids import check_ids
from zsl.models.families import Described

AXES = {"tokens": ("sequences", "positions"), "batches": ("batches", "sequences", "positions")}


def read_ids(path: Path, kind: str, model: Described) -> np.ndarray:
    """Ids of a file, along the axes of its ``kind``, that fit a ``model``.

    Raises MeasurementError where the file holds anything else.
    """
    array = _read(path)
    if array.ndim != len(AXES[kind]):
        hint = "reshape(-1, positions) cuts a row of tokens into sequences; " * (array.ndim == 1)
        raise MeasurementError(
            f"{path}: has the shape {array.shape}; {hint}({', '.join(AXES[kind])}) is needed"
        )
    try:
        check_ids(array.reshape(-1, array.shape[-1]), model.context, model.rows)
    except MeasurementError as error:
        raise MeasurementError(f"{path}: {error}") from None
    return array


def _read(path: Path) -> np.ndarray:
    """Token ids of a NumPy file; raises MeasurementError where it holds anything else."""
    if not path.is_file():
        raise MeasurementError(f"{path}: no such file; give a NumPy file of token ids")
    try:
        # Mapped, lest as much memory is taken as a header declares.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy's reader of headers parses Python, and raises what that does
        found = f", but {what}" if (what := what_it_is(path)) else ""
        raise MeasurementError(
            f"{path}: not a NumPy file of token ids, as numpy.save writes them{found}; what has no "
            f"header is read with numpy.memmap first ({error})"
        ) from None
    if not isinstance(array, np.ndarray):
        raise MeasurementError(
            f"{path}: holds no array of integers but an archive; save one array with numpy.save"
        )
    if array.dtype.kind not in "iu":
        raise MeasurementError(
            f"{path}: holds no array of integers but of {array.dtype}; token ids are needed"
        )
    return np.asarray(array)
