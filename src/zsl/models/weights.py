"""Tensors in safetensors files, and what is wrong with a file that holds none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from zsl.errors import TrainingError
from zsl.foreign import what_it_is
from zsl.models.foreign import foreign_folder
from zsl.permissions import require_readable

FORMATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
"""Formats of weights that are read; ours are float32."""


def fill(model: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Give ``model`` its weights, ``tensors`` by name, which were read from ``path``.

    Raises TrainingError naming the file where one does not fit, or is not finite.
    """
    for name, tensor in tensors.items():
        if tensor.dtype not in FORMATS:
            raise TrainingError(
                f"{path}: {name} is in {tensor.dtype}, and weights are read in "
                f"{', '.join(map(str, FORMATS))} only"
            )
        if not tensor.isfinite().all():
            raise TrainingError(
                f"{path}: {name} is not finite; the run diverged before this checkpoint, use an "
                "earlier one"
            )
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise TrainingError(f"{path}: not weights of this architecture: {error}") from None


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a file, by name; raises TrainingError naming it where it is damaged."""
    with reading(path):
        return load_file(path)


@contextmanager
def reading(path: Path) -> Iterator[Path]:
    """Raises TrainingError for whatever is wrong with a file of tensors that the block reads."""
    require_file(path)
    try:
        yield path
    except (SafetensorError, LookupError, ValueError, OSError) as error:
        if what := what_it_is(path):
            raise TrainingError(f"{path}: no safetensors, but {what}") from None
        raise TrainingError(
            f"{path}: damaged ({error}); delete the segment's folder and train it again"
        ) from None


def require_file(path: Path) -> None:
    """Raises TrainingError where a file of a checkpoint is missing, with what is there instead."""
    require_readable(path)
    if not path.is_file():
        if what := foreign_folder(path.parent):
            raise TrainingError(f"{path.parent}: {what}")
        raise TrainingError(f"{path}: no such file; the checkpoint is incomplete")
