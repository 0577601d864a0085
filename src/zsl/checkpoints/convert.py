"""A checkpoint of others becomes a folder as ours are (``zsl.training.checkpoint``).

Beside the files of ours lies ``source.json``: the names, sizes and SHA-256 of the files that were
read, the optimizer's settings in them, and what was done to them.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from zsl.checkpoints.errors import CheckpointError
from zsl.checkpoints.formats import (
    Format,
    format_of_folder,
    read_architecture,
    read_batch_size,
    read_tensors,
)
from zsl.checkpoints.olmo_pt import OptimizerState, read_optimizer
from zsl.errors import TrainingError
from zsl.files import sha256, write_json, write_text
from zsl.models.olmo.adapter import Olmo
from zsl.models.olmo.architecture import declared_model
from zsl.training.checkpoint import TrainingState, save_checkpoint

SOURCE = "source.json"
LAST_UPDATE = "last_update"
"""The repair of a checkpoint that was saved at a rate of 0: see :func:`repair_last_update`."""


@dataclass(frozen=True)
class Read:
    """A checkpoint of others in memory."""

    form: Format
    model: Olmo
    """Float32, on the CPU."""
    optimizer: OptimizerState | None


def convert(
    source: Path,
    target: Path,
    *,
    step: int | None = None,
    optimizer: bool = True,
    repair: bool = True,
    batch_size: int | None = None,
) -> dict[str, Any]:
    """Write the checkpoint in the folder ``source`` as a folder of ours; returns ``source.json``.

    ``step`` is that of its name, and has to be given where no optimizer's state says it.
    ``optimizer``: whether its state is read, where there is one. ``repair``: whether
    :func:`repair_last_update` is applied where the stored rate is 0. ``batch_size``: sequences of
    a step, where config.yaml does not say it; where neither does, ``state.json`` tells of 0
    sequences.

    ``target`` is written whole or not at all. The random state of others is not read: that of
    seed 0 takes its place. Raises CheckpointError naming the file.
    """
    found = read(source, optimizer=optimizer)
    path, state = source / found.form.config, found.optimizer
    if state is None and step is None:
        raise CheckpointError(f"{source}: holds no step without an optimizer's state; give it")
    check_step(source, found, step)
    made = state.step if state else step or 0
    repaired = None
    if state and repair and state.step > 1 and all(g.get("lr") == 0 for g in state.groups):
        repaired = repair_last_update(found.model, state, source / str(found.form.optimizer))
    batch = batch_size or (None if path.suffix == ".json" else read_batch_size(path))
    sequences = made * (batch or 0)
    told = {
        "format": found.form.kind,
        "files": {
            name: {"size": (source / name).stat().st_size, "sha256": sha256(source / name)}
            for name in (found.form.config, *found.form.weights)
            + ((found.form.optimizer,) if state and found.form.optimizer else ())
        },
        "step": made,
        "step_from": found.form.optimizer if state else "name",
        "batch_size": batch,
        "optimizer": list(state.groups) if state else None,
        "repair": repaired,
    }
    length = found.model.config.max_sequence_length
    _write(target, found, TrainingState(made, sequences, sequences * length), told)
    return told


def read(source: Path, *, optimizer: bool = True) -> Read:
    """Read the checkpoint in a folder. Raises CheckpointError naming the file."""
    form = format_of_folder(source)
    if form.kind == "zsl":
        raise CheckpointError(f"{source}: is a folder of ours already")
    try:
        architecture = read_architecture(source / form.config)
        tensors = read_tensors(source, form)
        model = _model(source, form, architecture, tensors)
        state = read_optimizer(source / form.optimizer) if optimizer and form.optimizer else None
    except TrainingError as error:
        raise CheckpointError(str(error)) from None
    if state is not None:
        _check_optimizer(source / str(form.optimizer), state, model)
    return Read(form, model, state)


def check_step(source: Path, found: Read, step: int | None) -> None:
    """Raise CheckpointError where the step in the file is not that of the name."""
    if found.optimizer and step is not None and found.optimizer.step != step:
        raise CheckpointError(
            f"{source / str(found.form.optimizer)}: is of step {found.optimizer.step:,}, not of "
            f"step {step:,} as its name says; the names of the suite are wrong, or its files were "
            "exchanged"
        )


def _model(
    source: Path, form: Format, architecture: dict[str, Any], tensors: dict[str, Tensor]
) -> Olmo:
    """The model of an architecture with these weights in float32.

    The checks are those of :func:`declared_model`, which reads a folder.
    """
    path, shapes = source / form.config, {name: tuple(t.shape) for name, t in tensors.items()}
    with tempfile.TemporaryDirectory() as folder:
        write_text(Path(folder) / "config.yaml", yaml.safe_dump({"model": architecture}))
        try:
            model = declared_model(Path(folder), shapes)
        except TrainingError as error:
            said = str(error).replace(str(Path(folder) / "config.yaml"), str(path))
            weights = Path(folder) / "model.safetensors"
            raise CheckpointError(
                said.replace(str(weights), str(source / form.weights[0]))
            ) from None
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        said = " ".join(str(error).split())
        raise CheckpointError(
            f"{source / form.weights[0]}: not weights of the architecture in {path}: {said:.300}"
        ) from None
    for name, weight in model.named_parameters():
        if not weight.isfinite().all():
            raise CheckpointError(
                f"{source / form.weights[0]}: {name} is not finite: the run diverged before this "
                "checkpoint, or the file is damaged; leave it out"
            )
    return model


def _check_optimizer(path: Path, state: OptimizerState, model: Olmo) -> None:
    weights = dict(model.named_parameters())
    if different := sorted(weights.keys() ^ state.states.keys()):
        whose = "of" if different[0] in state.states else "no state of"
        raise CheckpointError(
            f"{path}: holds {whose} {different[0]}, unlike the weights beside it; it is of another "
            "architecture"
        )
    for name, tensors in state.states.items():
        for kind, tensor in tensors.items():
            if tensor.dim() and tensor.shape != weights[name].shape:
                raise CheckpointError(
                    f"{path}: {kind} of {name} has shape {tuple(tensor.shape)} instead of "
                    f"{tuple(weights[name].shape)}; it is of another architecture"
                )
            if not tensor.isfinite().all():
                raise CheckpointError(f"{path}: {kind} of {name} is not finite")


def repair_last_update(model: Olmo, state: OptimizerState, path: Path) -> dict[str, Any]:
    """Make the update of a last step whose rate was 0, with the rate ``initial_lr`` of its group:

    w <- (1 - lr λ) w - lr m / (1 - β1^s) / (sqrt(v / (1 - β2^s)) + eps),  s = step - 1.

    The moments m and v have taken in the step's gradient already. Returns what was done. Raises
    CheckpointError where the file lacks a setting.
    """
    s, rates = state.step - 1, set()
    for name, weight in model.named_parameters():
        names = ("initial_lr", "betas", "eps", "weight_decay")
        rate, betas, eps, decay = (state.setting(name, setting) for setting in names)
        if None in (rate, betas, eps, decay):
            raise CheckpointError(
                f"{path}: its rate is 0, and it does not say {', '.join(names)} of {name}, with "
                "which the last update could be made; convert it without the repair"
            )
        moments = state.states[name]
        root = moments["exp_avg_sq"].float().div(1 - betas[1] ** s).sqrt_().add_(eps)
        with torch.no_grad():
            weight.mul_(1 - rate * decay)
            weight.addcdiv_(moments["exp_avg"].float(), root, value=-rate / (1 - betas[0] ** s))
        rates.add(rate)
    return {"name": LAST_UPDATE, "rates": sorted(rates), "bias_correction_step": s}


def _write(target: Path, found: Read, state: TrainingState, told: dict[str, Any]) -> None:
    work = target.with_name(f".{target.name}.converting")
    shutil.rmtree(work, ignore_errors=True)
    optimizer = torch.optim.SGD(found.model.parameters())  # only carries the states
    if found.optimizer:
        for name, weight in found.model.named_parameters():
            moments = found.optimizer.states[name]
            optimizer.state[weight] = {key: tensor.float() for key, tensor in moments.items()}
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            save_checkpoint(work / target.name, found.model, optimizer, state)
        write_json(work / target.name / SOURCE, told)
        shutil.rmtree(target, ignore_errors=True)
        (work / target.name).rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
