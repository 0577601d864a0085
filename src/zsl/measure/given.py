"""What ``zsl measure`` was given, looked at before anything slow is imported."""

from __future__ import annotations

import argparse
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from zsl.config.base import STEPS
from zsl.config.load import load
from zsl.config.measurements import Measurements
from zsl.config.schema import Run
from zsl.config.yaml_files import read_values
from zsl.data.tokenizer_files import tokenizer_file
from zsl.errors import MeasurementError
from zsl.files import read_json
from zsl.foreign import what_it_is
from zsl.measure.ids import AXES, read_ids, rows_of
from zsl.measure.needs import check_options
from zsl.permissions import require_readable
from zsl.training.foreign import foreign_folder

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)

FILES = ("config.yaml", "model.safetensors")
NOT_COMPARED = ("init", "flash_attention", "precision", "dropout")
"""What stands in the names of settings that say nothing of what a model computes."""


@dataclass(frozen=True)
class Given:
    """One measurement as it was asked for; everything in it can be read and fits."""

    measurement: str
    checkpoint: Path
    next: Path | None
    """The checkpoint that follows."""
    step: int
    """Step of the checkpoint; 0 if nothing says it."""
    step_next: int
    """That of ``next``."""
    tokens: np.ndarray | None
    """Evaluation tokens, (sequences, positions)."""
    batches: np.ndarray | None
    """Training tokens, (batches, sequences, positions)."""
    tokenizer: Tokenizer | None
    out: Path
    settings: Measurements
    run: Run | None
    """Whose optimizer makes the next step."""
    name: str
    """What the file calls the run."""
    micro_batch_size: int | None
    """Sequences at once, if the configuration says."""


def check(options: argparse.Namespace) -> Given:
    """What the command was given.

    Raises MeasurementError, or another ZslError, for what is missing, cannot be read, or does not
    fit together.
    """
    plan = load(options.configfile) if options.configfile else None
    run = _run(options.run, plan.runs if plan else {})
    check_options(options, run)
    _check_out(options.out)
    checkpoint = _checkpoint(options.checkpoint)
    following = _checkpoint(options.next) if options.next else None
    architecture = _architecture(checkpoint)
    if following:
        _check_next(checkpoint, following, architecture)
    paths = {kind: path for kind in AXES if (path := getattr(options, kind))}
    arrays = {kind: read_ids(path, kind, architecture) for kind, path in paths.items()}
    settings = plan.experiment.measurements if plan else Measurements()
    if options.tasks:
        chosen = settings.downstream.model_copy(update={"tasks": [*dict.fromkeys(options.tasks)]})
        settings = settings.model_copy(update={"downstream": chosen})
    step, step_next = step_of(checkpoint), step_of(following) if following else 0
    if following and step_next <= step:
        log.warning(
            "%s is of step %d and %s of step %d: the change is from the first to the second",
            options.checkpoint,
            step,
            options.next,
            step_next,
        )
    return Given(
        measurement=options.measurement,
        checkpoint=checkpoint,
        next=following,
        step=step,
        step_next=step_next,
        tokens=arrays.get("tokens"),
        batches=arrays.get("batches"),
        tokenizer=_tokenizer(options.tokenizer, architecture) if options.tokenizer else None,
        out=options.out,
        settings=settings,
        run=run,
        name=options.run or checkpoint.name,
        micro_batch_size=settings.micro_batch_size if plan else None,
    )


def _run(name: str | None, runs: dict[str, Run]) -> Run | None:
    if name is None:
        return None
    if name not in runs:
        known = ", ".join(runs) or "none: give --configfile"
        raise MeasurementError(f"--run {name}: no such run; there are {known}")
    return runs[name]


def _check_out(out: Path) -> None:
    if out.exists():
        raise MeasurementError(f"{out}: exists already; name another file or delete it")
    above = next(folder for folder in out.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise MeasurementError(f"{out}: {above} is no folder to write to; name another place")


def _checkpoint(path: Path) -> Path:
    """The folder that a path leads to, by whatever links."""
    for name in FILES:
        require_readable(path / name)
        if not (path / name).is_file():
            if what := foreign_folder(path):
                raise MeasurementError(f"{path}: {what}")
            found = sorted(file.parent for file in path.glob(f"*/{name}"))
            hint = f"; there is one in {found[-1]}" if found else "; the checkpoint is incomplete"
            raise MeasurementError(f"{path / name}: no such file{hint}")
    _check_weights(path / FILES[1])
    return path.resolve()


def _check_weights(path: Path) -> None:
    """Raises MeasurementError where a file is no safetensors, or not whole."""
    try:
        with safe_open(path, "np"):
            pass
    except SafetensorError as error:
        what = what_it_is(path)
        said = f"no safetensors, but {what}" if what else f"damaged ({error}); write it again"
        raise MeasurementError(f"{path}: {said}") from None


def _architecture(folder: Path) -> dict[str, Any]:
    """The model's settings as they are written."""
    path = folder / FILES[0]
    values = read_values(path)
    found = values.get("model") if isinstance(values, dict) else None
    if not isinstance(found, dict):
        raise MeasurementError(
            f"{path}: not the configuration of an OLMo model, whose architecture is below the key "
            "model"
        )
    return found


def _check_next(checkpoint: Path, following: Path, architecture: dict[str, Any]) -> None:
    if checkpoint == following:
        raise MeasurementError(
            f"--next {following}: is the checkpoint itself; name the one that follows"
        )
    other = _architecture(following)
    for key in sorted(architecture.keys() & other.keys()):
        compared = not any(part in key for part in NOT_COMPARED)
        if compared and architecture[key] != other[key]:
            raise MeasurementError(
                f"--next {following}: its model has {key} = {other[key]}, that of {checkpoint} has "
                f"{architecture[key]}; name two checkpoints of one run"
            )


def _tokenizer(path: Path, architecture: dict[str, Any]) -> Tokenizer:
    from zsl.data.tokenizer import load_tokenizer  # imports what downloads need

    if path.is_dir():
        path = tokenizer_file(Path(), str(path))
    tokenizer = load_tokenizer(path)
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    rows = rows_of(architecture)
    if rows is not None and largest >= rows:
        raise MeasurementError(
            f"{path}: has the id {largest}, the model's embedding has {rows} rows; use the "
            "tokenizer that the model was trained with"
        )
    size = architecture.get("vocab_size")
    if isinstance(size, int) and largest + 1 != size:
        log.warning(
            "%s has %d tokens and the model %d: is it the tokenizer that it was trained with?",
            path,
            largest + 1,
            size,
        )
    return tokenizer


def step_of(checkpoint: Path) -> int:
    """The step of a checkpoint, from its state or its name; 0 if neither says."""
    state = checkpoint / "state.json"
    if state.exists():
        found = read_json(state)
        step = found.get("step") if isinstance(found, dict) else None
        if type(step) is not int or not 0 <= step <= STEPS:
            raise MeasurementError(f"{state}: names no step; restore it or leave it out")
        return step
    digits = re.search(r"(?:step|checkpoint|ckpt|iter)[-_]?0*(\d{1,8})(?!\d)", checkpoint.name)
    return int(digits[1]) if digits else 0
