"""OLMo's unsharded checkpoints: pickles of torch, read without executing anything in them.

``model.pt`` holds weights by name, ``optim.pt`` the state of the optimizer as FSDP or DDP gather
it: ``{"state": {weight: {exp_avg, exp_avg_sq, step}}, "param_groups": [...]}``, where a weight is
its name, or a number that the ``params`` and ``param_names`` of the groups explain.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zsl.checkpoints.errors import CheckpointError
from zsl.foreign import what_it_is
from zsl.models.foreign import plain_names
from zsl.models.weights import FORMATS

MALFORMED = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
)
"""What ``torch.load`` raises for files that are no such pickles."""
SETTINGS = ("lr", "initial_lr", "betas", "eps", "weight_decay", "max_grad_norm")
"""What is kept of a group's settings."""


@dataclass(frozen=True)
class OptimizerState:
    """What an optimizer had when a checkpoint was saved."""

    step: int
    """Updates made, as the file says, the same for all weights."""
    states: dict[str, dict[str, Tensor]]
    """``step``, ``exp_avg``, ``exp_avg_sq`` of each weight by OLMo's name of it."""
    groups: tuple[dict[str, Any], ...]
    """``names`` of the weights of each group, and those of ``SETTINGS`` that the file has."""

    def setting(self, weight: str, name: str) -> Any:
        """A setting of the group that a weight is in; None where the file does not say it."""
        return next((group.get(name) for group in self.groups if weight in group["names"]), None)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights of ``model.pt`` by OLMo's names of them, in the file's format, mapped from it.

    Raises CheckpointError, or TrainingError for names that cannot be told apart.
    """
    value = load(path)
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise CheckpointError(f"{path}: holds no weights by name; is it another program's file?")
    check_tensors(value, path)
    return {name: value[key].detach() for name, key in plain_names(value, path).items()}


def read_optimizer(path: Path) -> OptimizerState:
    """The state in ``optim.pt``.

    Raises CheckpointError where it is another file, does not say which weight a state is of, or
    has weights at different steps.
    """
    value = load(path)
    try:
        groups, named = _groups(value["param_groups"], path)
        states = {named[key]: dict(state) for key, state in value["state"].items()}
        tensors = {name: _tensors(name, state, path) for name, state in states.items()}
        steps = {int(state["step"]) for state in tensors.values()}
    except CheckpointError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: not the full state of an optimizer ({error!r:.200})"
        ) from None
    check_tensors({f"{k}.{n}": t for n, state in tensors.items() for k, t in state.items()}, path)
    if len(steps) != 1:
        raise CheckpointError(
            f"{path}: " + (f"weights are at different steps, {sorted(steps)}" if steps else "empty")
        )
    return OptimizerState(steps.pop(), tensors, groups)


def load(path: Path) -> Any:
    """What a pickle of torch holds, if that is tensors and plain values; nothing is executed."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; the checkpoint is incomplete") from None
    except PermissionError:
        raise
    except MALFORMED as error:
        raise CheckpointError(f"{path}: {_reason(path, str(error))}") from None


def _reason(path: Path, said: str) -> str:
    if found := re.search(r"(?:GLOBAL|globals? ?:?) ?([\w.]+\.\w+)", said):
        return (
            f"a pickle that asks for {found[1]}, which no weights need and which could execute "
            "anything; nothing of it was read or executed"
        )
    what = what_it_is(path)
    if what and not what.startswith("a zip"):
        return f"no checkpoint of torch.save in its zip format, but {what}"
    return f"damaged, cut off or no checkpoint of torch.save ({said.partition(chr(10))[0]:.200})"


def check_tensors(values: dict[str, Any], path: Path) -> None:
    """Raise CheckpointError for what is no plain tensor, or more than the file has bytes for."""
    for name, tensor in values.items():
        plain = isinstance(tensor, Tensor) and tensor.layout == torch.strided
        if not plain or tensor.dtype not in FORMATS:
            kind = f"tensor of {tensor.dtype}" if plain else type(tensor).__name__
            raise CheckpointError(
                f"{path}: {name[:100]} is a {kind}; tensors in {', '.join(map(str, FORMATS))} "
                "are read"
            )
    asked = sum(tensor.numel() * tensor.element_size() for tensor in values.values())
    if asked > path.stat().st_size:
        raise CheckpointError(
            f"{path}: its tensors stand for {asked:,} bytes, more than it has; weights that share "
            "their numbers are not read"
        )


def _groups(written: Any, path: Path) -> tuple[tuple[dict[str, Any], ...], dict[int | str, str]]:
    """The groups, and the names of weights by what stands for them in ``state``."""
    named: dict[int | str, str] = {}
    groups = []
    for number, group in enumerate(written):
        keys = group["params"]
        names = group.get("param_names", keys)
        if not all(isinstance(name, str) for name in names) or len(names) != len(keys):
            raise CheckpointError(
                f"{path}: does not say which weights the numbers of its group {number} stand for: "
                "there are no param_names"
            )
        plain = _plain(names, path)
        named.update(zip([*keys, *names], plain * 2, strict=True))
        kept = {key: _number(group[key]) for key in SETTINGS if group.get(key) is not None}
        groups.append({"names": plain, **kept})
    return tuple(groups), named


def _plain(names: Iterable[str], path: Path) -> list[str]:
    names = list(names)
    known = {written: name for name, written in plain_names(names, path).items()}
    return [known[name] for name in names]


def _number(value: Any) -> Any:
    return [float(v) for v in value] if isinstance(value, list | tuple) else float(value)


def _tensors(name: str, state: dict[str, Any], path: Path) -> dict[str, Tensor]:
    """The state of AdamW, whose step may be a plain number; what else is kept does not matter."""
    if missing := {"step", "exp_avg", "exp_avg_sq"} - state.keys():
        raise CheckpointError(
            f"{path}: holds no {min(missing)} of {name}, which AdamW keeps, but "
            f"{', '.join(map(str, state)) or 'nothing'}; it is of another optimizer, and only "
            "weights can be read"
        )
    return {
        "step": torch.tensor(float(state["step"])),
        "exp_avg": state["exp_avg"],
        "exp_avg_sq": state["exp_avg_sq"],
    }
