"""Models of transformers from folders, with every weight from its file and nothing of it left.

transformers makes up weights that it does not find and forgets those that it has no place for, in
a warning. Here either is an error. Settings are read as data: no code of a folder is executed, and
nothing is fetched.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor
from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, PreTrainedModel
from transformers import __version__ as VERSION
from transformers.utils import logging

from zsl.checkpoints.errors import CheckpointError
from zsl.checkpoints.olmo_pt import load
from zsl.errors import MeasurementError, TrainingError
from zsl.models.hf.folder import CONFIG, read_config, weight_files
from zsl.models.weights import FORMATS, read_tensors

NOT_WEIGHTS = re.compile(
    r"(^|\.)(attn|attention)\.(bias|masked_bias)$"  # masks of GPT-2 and GPT-NeoX
    r"|\.rotary_emb\.inv_freq$"
)
"""Buffers that older versions wrote beside the weights, and that are made of the settings."""
NOT_SETTINGS = ("auto_map", "use_kernels", "kernel_config", "fusion_config", "distributed_config")
"""What settings say of programs to run, besides what begins with ``_`` and ``attn_``."""
MALFORMED = (
    *(LookupError, TypeError, ValueError, RuntimeError, ArithmeticError, AssertionError),
    *(AttributeError, ImportError, OSError, StrictDataclassError),
)
"""What transformers and torch raise for settings that make no model."""
SHOWN = 5
"""Names in a message."""


def read_model(folder: Path) -> PreTrainedModel:
    """The model of a folder that ``save_pretrained`` wrote, float32 on CPU, to evaluate.

    Raises TrainingError naming the file where it is damaged, is of no class that transformers
    knows, or weights and class do not fit each other.
    """
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    kind, config = _class_of(folder)
    model: PreTrainedModel
    info: dict[str, Any]
    tensors = read_weights(folder)
    tied = _check_declared(folder, kind, config, tensors)
    try:
        model, info = kind.from_pretrained(
            None,
            config=config,
            state_dict=dict(tensors),
            dtype=torch.float32,
            experts_implementation="eager",
            output_loading_info=True,
        )
    except MALFORMED as error:
        raise TrainingError(f"{folder}: not weights of this architecture: {error}") from None
    for what, names in (
        ("the files lack", info["missing_keys"]),
        ("the model has no place for", info["unexpected_keys"]),
        ("of another shape are", (name for name, *_ in info["mismatched_keys"])),
    ):
        if names := sorted(names):
            raise TrainingError(
                f"{folder}: not weights of this {type(model).__name__}: {what} {_listed(names)}"
            )
    _check_all_used(folder, model, tensors, tied)
    return model.eval()


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a folder by name, in the format of their file, without what is none.

    Raises TrainingError naming the file where one is damaged, not finite, or not a plain tensor
    of numbers, and where two hold the same.
    """
    weights: dict[str, Tensor] = {}
    for path in _weight_files(folder):
        for name, tensor in _read(path).items():
            if NOT_WEIGHTS.search(str(name)):
                continue
            _check(name, tensor, path)
            if name in weights:
                raise TrainingError(f"{path}: holds {name}, as another part does; copy it again")
            weights[name] = tensor.detach()
    return weights


def _weight_files(folder: Path) -> list[Path]:
    try:
        return weight_files(folder)
    except MeasurementError as error:
        raise TrainingError(str(error)) from None


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return read_tensors(path)
    try:
        found = load(path)
    except CheckpointError as error:
        raise TrainingError(str(error)) from None
    if not isinstance(found, dict):
        raise TrainingError(f"{path}: holds no weights by name; is it another program's file?")
    return found


def _check(name: str, tensor: Any, path: Path) -> None:
    plain = isinstance(tensor, Tensor) and tensor.layout == torch.strided
    if not plain or tensor.dtype not in FORMATS:
        kind = f"tensor of {tensor.dtype}" if plain else type(tensor).__name__
        raise TrainingError(
            f"{path}: {name} is a {kind}; tensors in {', '.join(map(str, FORMATS))} are read"
        )
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise TrainingError(f"{path}: {name} stands for more numbers than the file holds")
    if not tensor.isfinite().all():
        raise TrainingError(
            f"{path}: {name} is not finite; the run diverged before this checkpoint, or float16 "
            "overflowed: use another one"
        )


def _class_of(folder: Path) -> tuple[Any, Any]:
    """The class of a folder's model and its settings, as transformers has them."""
    path = folder / CONFIG
    try:
        values = read_config(folder)
    except MeasurementError as error:
        raise TrainingError(str(error)) from None
    type_ = values["model_type"]
    kept = {
        key: value
        for key, value in values.items()
        if key not in NOT_SETTINGS and not key.startswith(("_", "attn_implementation"))
    }
    try:
        config = CONFIG_MAPPING[type_].from_dict(kept)
        return MODEL_FOR_CAUSAL_LM_MAPPING[type(config)], config
    except KeyError:
        raise TrainingError(
            f"{path}: transformers {VERSION} has no causal language model of the type "
            f"{type_!r:.60}, and code that comes with a checkpoint is never executed"
        ) from None
    except MALFORMED as error:
        raise TrainingError(f"{path}: not settings of a {type_:.60}: {error}") from None


def _check_declared(
    folder: Path, kind: Any, config: Any, tensors: dict[str, Tensor]
) -> dict[str, str]:
    """Compare what the settings ask for with the file, before any memory is taken for it.

    Returns the names of weights that are another one, by that one's name.
    """
    path = folder / CONFIG
    layers = getattr(config, "num_hidden_layers", 1)
    if not isinstance(layers, int) or not 0 < layers <= len(tensors):
        raise TrainingError(f"{path}: {layers} layers, where there are {len(tensors)} weights")
    try:
        with torch.device("meta"):
            model = kind(config)
    except MALFORMED as error:
        raise TrainingError(f"{path}: makes no {kind.__name__}: {error}") from None
    declared = model.state_dict()
    for name in sorted(declared.keys() & tensors.keys()):
        found, asked = tuple(tensors[name].shape), tuple(declared[name].shape)
        if found != asked:
            raise TrainingError(
                f"{folder}: not weights of this {kind.__name__}: {name} has the shape {found} "
                f"instead of {asked}, as {path} has it"
            )
    tied = dict(model.all_tied_weights_keys)
    for name, other in tied.items():
        both = name in tensors and other in tensors
        if both and not torch.equal(tensors[name], tensors[other]):
            raise TrainingError(
                f"{folder}: {CONFIG} ties {name} to {other}, and the weights differ; correct "
                "tie_word_embeddings"
            )
    return tied


def _check_all_used(
    folder: Path, model: PreTrainedModel, tensors: dict[str, Tensor], tied: dict[str, str]
) -> None:
    """Raises TrainingError where the file holds other numbers than the model has.

    By their count, as transformers renames, splits and stacks weights of some classes, and has
    lists of those that it does not miss.
    """
    state = model.state_dict()
    buffers = state.keys() - dict(model.named_parameters(remove_duplicate=False))
    own = [*model.parameters(), *(state[name] for name in buffers)]
    twice = {name for name, other in tied.items() if other in tensors}
    held = sum(tensor.numel() for name, tensor in tensors.items() if name not in twice)
    if held != (needed := sum(tensor.numel() for tensor in own)):
        more, less = tensors.keys() - state.keys(), state.keys() - tensors.keys() - tied.keys()
        raise TrainingError(
            f"{folder}: its weights are {held:,} numbers, and its {type(model).__name__} has "
            f"{needed:,}; of other names are {_listed(sorted(more))} in the files and "
            f"{_listed(sorted(less))} in the model"
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "none") + more
