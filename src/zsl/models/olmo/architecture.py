"""The architecture of a checkpoint folder, which may be another's: read as data, and bounded.

A few bytes can ask for more layers, or longer tables of positions, than any memory holds. What
is asked for is therefore compared with the names and shapes in the file of weights, which cost
what they weigh, before anything is made.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import torch
from olmo.config import ModelConfig
from olmo.exceptions import OLMoError
from omegaconf import OmegaConf as om
from omegaconf.errors import OmegaConfBaseException
from safetensors import safe_open

from zsl.config.yaml_files import read_values
from zsl.errors import BrokenFileError, TrainingError
from zsl.models.foreign import plain_names
from zsl.models.olmo.adapter import WEIGHTS, Olmo
from zsl.models.weights import reading, require_file

SETTINGS = {field.name for field in fields(ModelConfig)}
"""Keys of an architecture that OLMo knows."""
LARGEST_TABLE = 1 << 27
"""Numbers that a model may keep about positions: 64 times those of OLMo-7B."""
MALFORMED = (
    BrokenFileError,
    OmegaConfBaseException,
    OLMoError,
    LookupError,
    TypeError,
    ValueError,
    RuntimeError,
    ArithmeticError,
    AssertionError,
    NotImplementedError,
)
"""What OmegaConf, OLMo and torch raise for values that make no model."""


def load_model(folder: Path) -> Olmo:
    """The model of a checkpoint folder, ours or another's that OLMo wrote, on CPU.

    Reads ``config.yaml`` and ``model.safetensors``, whose weights may have the names that
    :func:`plain_names` knows. Raises TrainingError naming the file when one is missing, damaged,
    or no OLMo model.
    """
    require_file(folder / "config.yaml")
    with reading(folder / WEIGHTS) as path, safe_open(path, "pt") as file:
        names = plain_names(file.keys(), path)
        shapes = {name: tuple(file.get_slice(names[name]).get_shape()) for name in names}
    model = declared_model(folder, shapes)
    model.load(folder)
    return model


def declared_model(folder: Path, shapes: dict[str, tuple[int, ...]]) -> Olmo:
    """The model of ``config.yaml`` on CPU, weights not set, if its weights have these ``shapes``.

    Raises TrainingError naming the file when it is missing, or describes no such model.
    """
    path = folder / "config.yaml"
    try:
        config = _config(path, len(shapes))
        config.init_device = "meta"
        model = Olmo(config, init_params=False)
    except OSError:
        raise TrainingError(f"{path}: no such file; a folder that OLMo wrote has one") from None
    except MALFORMED as error:
        raise TrainingError(f"{path}: not the configuration of an OLMo model: {error}") from None
    for name, weight in model.state_dict().items():
        if shapes.get(name) != tuple(weight.shape):
            raise TrainingError(
                f"{folder / WEIGHTS}: not weights of this architecture: {name} has "
                f"shape {shapes.get(name)} instead of {tuple(weight.shape)}, as {path} has it"
            )
    config.init_device = "cpu"
    return model.to_empty(device=torch.device("cpu"))


def _config(path: Path, weights: int) -> ModelConfig:
    values = read_values(path)["model"]
    if "${" in json.dumps(values):
        raise ValueError("a value with ${, which would read another value or the environment")
    config = om.to_object(om.merge(om.structured(ModelConfig), values))
    assert isinstance(config, ModelConfig)
    if not 0 < config.n_layers <= weights:
        raise ValueError(f"n_layers = {config.n_layers}, where there are {weights} weights")
    length = config.max_sequence_length
    numbers = length * length * config.n_heads if config.alibi else length * config.d_model
    if length < 1 or numbers > LARGEST_TABLE:
        raise ValueError(f"max_sequence_length = {length}")
    config.flash_attention = False
    return config
