"""Folders that ``save_pretrained`` writes, as a family; nothing imports torch or transformers.

``config.json`` names the class by its ``model_type``; weights are in safetensors, or in a pickle
that is read without executing anything, in one file or several with an index.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from zsl.errors import MeasurementError, ZslError
from zsl.files import read_json
from zsl.foreign import what_it_is
from zsl.models.families import Described
from zsl.permissions import require_readable

if TYPE_CHECKING:
    from zsl.models.base import LanguageModel

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Files of weights, the one that is read first; with ``.index.json`` where there are several."""
OTHERS = {"hf_olmo"}
"""Types of models that are in such folders, and that transformers does not know."""
CONTEXT = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len")
"""What types of models call the most positions of a sequence."""
NOT_COMPARED = (
    *("transformers_version", "dtype", "torch_dtype", "use_cache", "architectures", "auto_map"),
    *("initializer_range", "token_id", "dropout", "pdrop", "task_specific_params"),
)
"""What is in the names of settings that say nothing of what a model computes."""


def knows(folder: Path) -> bool:
    """See Family."""
    try:
        kind = read_json(folder / CONFIG).get("model_type")
    except (OSError, ZslError, AttributeError):
        return False
    return isinstance(kind, str) and kind not in OTHERS


def describe(folder: Path) -> Described:
    """See Family."""
    values = read_config(folder)
    for path in weight_files(folder):
        if path.suffix == ".safetensors":
            _check_weights(path)
    context = next((values[key] for key in CONTEXT if isinstance(values.get(key), int)), None)
    rows = values.get("vocab_size")
    shared = {
        key: value
        for key, value in values.items()
        if not key.startswith("_") and not any(part in key for part in NOT_COMPARED)
    }
    return Described(context, rows if isinstance(rows, int) else None, None, shared)


def load_model(folder: Path) -> LanguageModel:
    """See Family."""
    from zsl.models.hf import adapter

    return adapter.load_model(folder)


def read_config(folder: Path) -> dict[str, Any]:
    """The settings in a folder; raises MeasurementError where it names no type of model."""
    path = folder / CONFIG
    require_readable(path)
    values = read_json(path)
    if not isinstance(values, dict) or not isinstance(values.get("model_type"), str):
        raise MeasurementError(f"{path}: names no model_type; is it a model of transformers?")
    if values.get("quantization_config"):
        raise MeasurementError(
            f"{path}: the weights are quantised; give a checkpoint in float32, bfloat16 or float16"
        )
    return values


def weight_files(folder: Path) -> list[Path]:
    """The files of weights of a folder.

    Raises MeasurementError where there are none, one of several is missing, or their index is
    damaged.
    """
    for name in WEIGHTS:
        for path in (folder / name, folder / f"{name}.index.json"):
            require_readable(path)
            if path.is_file():
                return [path] if path.name == name else _files_of(path)
    raise MeasurementError(
        f"{folder}: holds no weights; {' or '.join(WEIGHTS)}, or their parts with an index, are "
        "read"
    )


def _files_of(index: Path) -> list[Path]:
    values = read_json(index)
    parts = values.get("weight_map") if isinstance(values, dict) else None
    if not isinstance(parts, dict) or not parts:
        raise MeasurementError(f"{index}: has no weight_map of names and files; copy it again")
    names = sorted({str(name) for name in parts.values()})
    if outside := [name for name in names if Path(name).name != name]:
        raise MeasurementError(f"{index}: names {outside[0]:.80}, which is no file beside it")
    files = [index.parent / name for name in names]
    for path in files:
        require_readable(path)
        if not path.is_file():
            raise MeasurementError(f"{path}: no such file; the checkpoint is incomplete")
    return files


def _check_weights(path: Path) -> None:
    """Raises MeasurementError where a file is no safetensors, or not whole."""
    try:
        with safe_open(path, "np"):
            pass
    except SafetensorError as error:
        what = what_it_is(path)
        said = f"no safetensors, but {what}" if what else f"damaged ({error}); copy it again"
        raise MeasurementError(f"{path}: {said}") from None
