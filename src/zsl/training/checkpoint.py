"""Checkpoints: model, optimizer, random state and data position, without pickles.

``step00004096/model.safetensors``  weights by OLMo's parameter names, float32
``step00004096/optim.safetensors``  ``<state>.<parameter>`` for each state of the optimizer,
                                    and ``rng``, the state of torch's CPU generator
``step00004096/state.json``         step and data position, and the SHA-256 of the others
``step00004096/config.yaml``        the architecture, as OLMo writes it: its key ``model``
"""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from omegaconf import OmegaConf as om
from safetensors.torch import save_file

from zsl.errors import BrokenFileError, TrainingError
from zsl.files import by_umask, read_json, sha256, sha256_of_json, write_json
from zsl.models.base import LanguageModel
from zsl.models.olmo.adapter import WEIGHTS, Olmo
from zsl.models.weights import read_tensors
from zsl.training.sharding import of_this_process, weights, whole_state

OPTIMIZER, STATE = "optim.safetensors", "state.json"
FILES = (WEIGHTS, OPTIMIZER, STATE, "config.yaml")


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
    folder: Path, model: Olmo, optimizer: torch.optim.Optimizer, state: TrainingState
) -> None:
    """Write a checkpoint folder whole or not at all; the bytes depend on the state alone.

    A state that is shared out has to be gathered before.
    """
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    with by_umask(temporary / WEIGHTS) as path:
        save_file(_contiguous(model.state_dict()), path)
    with by_umask(temporary / OPTIMIZER) as path:
        save_file(_optimizer_tensors(model, optimizer), path)
    om.save({"model": om.structured(model.config)}, temporary / "config.yaml")
    values = asdict(state)
    write_json(temporary / STATE, {**values, "sha256": _digests(temporary, values)})
    for name in FILES:
        _sync(temporary / name)
    _sync(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    _sync(folder.parent)


def is_sound(folder: Path) -> bool:
    """Whether the files of a checkpoint are those that were written, each to its last bit.

    Raises PermissionError where this user may not read them, which tells nothing.
    """
    try:
        values = read_json(folder / STATE)
        return bool(values.pop("sha256") == _digests(folder, values))
    except PermissionError:
        raise
    except (OSError, BrokenFileError, LookupError, AttributeError, TypeError):
        return False


def _digests(folder: Path, state: dict[str, int]) -> dict[str, str]:
    """SHA-256 of the other files, and of what ``state.json`` says besides."""
    files = {name: sha256(folder / name) for name in FILES if name != STATE}
    return {**files, STATE: sha256_of_json(state)}


def load_checkpoint(
    folder: Path, model: LanguageModel, optimizer: torch.optim.Optimizer
) -> TrainingState:
    """Load weights, optimizer and random state; return where the run was.

    Raises TrainingError naming the file when it is damaged or does not fit.
    """
    state = _training_state(folder / STATE)
    model.load(folder)
    path = folder / OPTIMIZER
    tensors = read_tensors(path)
    try:
        torch.set_rng_state(tensors.pop("rng"))
    except (LookupError, TypeError, RuntimeError):
        raise TrainingError(f"{path}: holds no state of torch's generator as rng") from None
    names: dict[torch.Tensor, str] = {weight: name for name, weight in model.named_parameters()}
    parameters = {names[weight]: weight for weight in weights(optimizer)}
    states = _optimizer_states(path, tensors, parameters)
    if state.step and (missing := sorted(parameters.keys() - states.keys())):
        raise TrainingError(f"{path}: holds no state of {missing[0]}, although steps were made")
    mine = of_this_process(optimizer)
    whole = mine.state_dict()
    order = [names[weight] for weight in weights(mine)]
    whole["state"] = {i: states[name] for i, name in enumerate(order) if name in states}
    mine.load_state_dict(whole)
    return state


def _training_state(path: Path) -> TrainingState:
    try:
        values = read_json(path)
        counts = [values[field.name] for field in fields(TrainingState)]
        if all(type(count) is int and count >= 0 for count in counts):
            return TrainingState(*counts)
    except FileNotFoundError:
        raise TrainingError(f"{path}: no such file; the checkpoint is incomplete") from None
    except (LookupError, TypeError):
        pass
    raise TrainingError(f"{path}: does not say how many steps, sequences and tokens were read")


def _optimizer_states(
    path: Path, tensors: dict[str, torch.Tensor], parameters: dict[str, torch.Tensor]
) -> dict[str, dict[str, torch.Tensor]]:
    """What an optimizer keeps, by parameter and name of the state."""
    states: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        kind, _, name = key.partition(".")
        if name not in parameters or (tensor.dim() and tensor.shape != parameters[name].shape):
            raise TrainingError(
                f"{path}: holds {key} of shape {tuple(tensor.shape)}, which this model has not; "
                "the checkpoint is of another architecture"
            )
        states.setdefault(name, {})[kind] = tensor
    return states


def _optimizer_tensors(
    model: LanguageModel, optimizer: torch.optim.Optimizer
) -> dict[str, torch.Tensor]:
    tensors, moments = {"rng": torch.get_rng_state()}, whole_state(optimizer)
    for name, parameter in model.named_parameters():
        for key, value in moments.get(parameter, {}).items():
            tensors[f"{key}.{name}"] = value
    return _contiguous(tensors)


def _contiguous(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value.detach().cpu().contiguous() for key, value in tensors.items()}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
