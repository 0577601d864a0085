"""OLMo's checkpoint folders, as a family of :mod:`zsl.models.families`; nothing imports torch.

``config.yaml`` has the architecture below its key ``model``, ``model.safetensors`` the weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from zsl.config.yaml_files import read_values
from zsl.errors import MeasurementError
from zsl.foreign import what_it_is
from zsl.models.families import Described
from zsl.models.foreign import foreign_folder
from zsl.permissions import require_readable

if TYPE_CHECKING:
    from zsl.models.base import LanguageModel

FILES = ("config.yaml", "model.safetensors")
NOT_COMPARED = ("init", "flash_attention", "precision", "dropout")
"""What stands in the names of settings that say nothing of what a model computes."""


def knows(folder: Path) -> bool:
    """See Family."""
    try:
        return (folder / FILES[0]).is_file()
    except PermissionError:
        return False


def describe(folder: Path) -> Described:
    """See Family."""
    for name in FILES:
        require_readable(folder / name)
        if not (folder / name).is_file():
            if what := foreign_folder(folder):
                raise MeasurementError(f"{folder}: {what}")
            found = sorted(file.parent for file in folder.glob(f"*/{name}"))
            hint = f"; there is one in {found[-1]}" if found else "; the checkpoint is incomplete"
            raise MeasurementError(f"{folder / name}: no such file{hint}")
    _check_weights(folder / FILES[1])
    path = folder / FILES[0]
    values = read_values(path)
    model = values.get("model") if isinstance(values, dict) else None
    if not isinstance(model, dict):
        raise MeasurementError(
            f"{path}: not the configuration of an OLMo model, whose architecture is below the key "
            "model"
        )
    context, rows, size = (
        value if isinstance(value, int) else None
        for value in (
            model.get("max_sequence_length"),
            model.get("embedding_size") or model.get("vocab_size"),
            model.get("vocab_size"),
        )
    )
    shared = {k: v for k, v in model.items() if not any(part in k for part in NOT_COMPARED)}
    return Described(context, rows, size, shared)


def load_model(folder: Path) -> LanguageModel:
    """See Family."""
    from zsl.models.olmo import architecture

    return architecture.load_model(folder)


def _check_weights(path: Path) -> None:
    """Raises MeasurementError where a file is no safetensors, or not whole."""
    try:
        with safe_open(path, "np"):
            pass
    except SafetensorError as error:
        what = what_it_is(path)
        said = f"no safetensors, but {what}" if what else f"damaged ({error}); write it again"
        raise MeasurementError(f"{path}: {said}") from None
