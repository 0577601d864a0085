"""Checkpoints: model, optimizer, random state and data position, without pickles.

``step00004096/model.safetensors``  weights by OLMo's parameter names, float32
``step00004096/optim.safetensors``  ``<state>.<parameter>`` for each state of the optimizer,
                                    and ``rng``, the state of torch's CPU generator
``step00004096/state.json``         step and data position
``step00004096/config.yaml``        the architecture, as OLMo writes it: its key ``model``
"""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import yaml
from olmo.config import ModelConfig
from olmo.model import OLMo
from omegaconf import OmegaConf as om
from omegaconf.errors import OmegaConfBaseException
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from zsl.errors import TrainingError
from zsl.files import read_json, write_json
from zsl.training.sharding import of_this_process, weights, whole_state

FILES = ("model.safetensors", "optim.safetensors", "state.json", "config.yaml")


@dataclass(frozen=True)
class TrainingState:
    """Where a run is."""

    step: int
    """Updates made."""
    sequences: int
    """Sequences read: the position in the data order at which the next step starts."""
    tokens: int
    """Tokens read."""


def save_checkpoint(
    folder: Path, model: OLMo, optimizer: torch.optim.Optimizer, state: TrainingState
) -> None:
    """Write a checkpoint folder whole or not at all; the bytes depend on the state alone.

    A state that is shared out has to be gathered before.
    """
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file(_contiguous(model.state_dict()), temporary / "model.safetensors")
    save_file(_optimizer_tensors(model, optimizer), temporary / "optim.safetensors")
    write_json(temporary / "state.json", asdict(state))
    om.save({"model": om.structured(model.config)}, temporary / "config.yaml")
    for name in FILES:
        _sync(temporary / name)
    _sync(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    _sync(folder.parent)


def load_model(folder: Path) -> OLMo:
    """The model of a checkpoint folder, ours or another's that OLMo wrote, on CPU.

    Reads ``config.yaml`` and ``model.safetensors``. Raises TrainingError naming the file when
    one is missing, damaged, or no OLMo model.
    """
    path = folder / "config.yaml"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        config = om.to_object(om.merge(om.structured(ModelConfig), values["model"]))
    except OSError:
        raise TrainingError(f"{path}: no such file; a folder that OLMo wrote has one") from None
    except (
        yaml.YAMLError,
        UnicodeDecodeError,
        OmegaConfBaseException,
        TypeError,
        KeyError,
    ) as error:
        raise TrainingError(f"{path}: not the configuration of an OLMo model: {error}") from None
    assert isinstance(config, ModelConfig)
    config.init_device, config.flash_attention = "cpu", False
    model = OLMo(config, init_params=False)
    load_weights(folder, model)
    return model


def load_weights(folder: Path, model: OLMo) -> None:
    """Load a checkpoint's weights into ``model``; every tensor must fit by name and shape.

    Raises TrainingError naming the file when it is damaged, of another architecture, or not
    finite.
    """
    path = folder / "model.safetensors"
    tensors = _read(path)
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise TrainingError(
                f"{path}: {name} is not finite; the run diverged before this checkpoint, use an "
                "earlier one"
            )
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise TrainingError(f"{path}: not weights of this architecture: {error}") from None


def load_checkpoint(folder: Path, model: OLMo, optimizer: torch.optim.Optimizer) -> TrainingState:
    """Load weights, optimizer and random state; return where the run was.

    Raises TrainingError naming the file when it is damaged or does not fit.
    """
    load_weights(folder, model)
    path = folder / "optim.safetensors"
    tensors = _read(path)
    torch.set_rng_state(tensors.pop("rng").cpu())
    states: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        kind, name = key.split(".", 1)
        states.setdefault(name, {})[kind] = tensor
    names: dict[torch.Tensor, str] = {weight: name for name, weight in model.named_parameters()}
    if unknown := sorted(states.keys() - {names[weight] for weight in weights(optimizer)}):
        raise TrainingError(
            f"{path}: holds the state of {unknown[0]}, which this model has not; "
            "the checkpoint is of another architecture"
        )
    mine = of_this_process(optimizer)
    whole = mine.state_dict()
    order = [names[weight] for weight in weights(mine)]
    whole["state"] = {i: states[name] for i, name in enumerate(order) if name in states}
    mine.load_state_dict(whole)
    return TrainingState(**read_json(folder / "state.json"))


def _optimizer_tensors(model: OLMo, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    tensors, moments = {"rng": torch.get_rng_state()}, whole_state(optimizer)
    for name, parameter in model.named_parameters():
        for key, value in moments.get(parameter, {}).items():
            tensors[f"{key}.{name}"] = value
    return _contiguous(tensors)


def _contiguous(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value.detach().cpu().contiguous() for key, value in tensors.items()}


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise TrainingError(f"{path}: no such file; the checkpoint is incomplete") from None
    except SafetensorError as error:
        raise TrainingError(
            f"{path}: damaged ({error}); delete the segment's folder and train it again"
        ) from None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
