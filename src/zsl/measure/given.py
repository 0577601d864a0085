"""What ``zsl measure`` was given, looked at before anything slow is imported."""

from __future__ import annotations

import argparse
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zsl.config.analysis import Curves
from zsl.config.base import STEPS
from zsl.config.load import load
from zsl.config.measurements import Measurement, Measurements
from zsl.config.schema import Run
from zsl.data.tokenizer_files import tokenizer_file
from zsl.errors import MeasurementError
from zsl.files import read_json
from zsl.measure.ids import AXES, read_ids
from zsl.measure.needs import check_options
from zsl.models.families import Described, family_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Given:
    """One measurement as it was asked for; everything in it can be read and fits."""

    settings: Measurement
    """What is measured."""
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
    curves: Curves
    """How intervals are drawn."""
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
    found = family_of(options.checkpoint).describe(options.checkpoint)
    checkpoint = options.checkpoint.resolve()  # the folder it leads to, by whatever links
    following = options.next and _following(options.next, checkpoint, found)
    paths = {kind: path for kind in AXES if (path := getattr(options, kind))}
    arrays = {kind: read_ids(path, kind, found) for kind, path in paths.items()}
    measurements = plan.experiment.measurements if plan else Measurements()
    settings = measurements.of(options.measurement)
    if options.tasks:
        settings = settings.model_copy(update={"tasks": [*dict.fromkeys(options.tasks)]})
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
        settings=settings,
        checkpoint=checkpoint,
        next=following,
        step=step,
        step_next=step_next,
        tokens=arrays.get("tokens"),
        batches=arrays.get("batches"),
        tokenizer=_tokenizer(options.tokenizer, found) if options.tokenizer else None,
        out=options.out,
        curves=plan.experiment.curves if plan else Curves(),
        run=run,
        name=options.run or checkpoint.name,
        micro_batch_size=measurements.micro_batch_size if plan else None,
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


def _following(path: Path, checkpoint: Path, found: Described) -> Path:
    """The checkpoint that follows another one, of the same architecture."""
    other = family_of(path).describe(path).settings
    following = path.resolve()
    if checkpoint == following:
        raise MeasurementError(
            f"--next {following}: is the checkpoint itself; name the one that follows"
        )
    for key in sorted(found.settings.keys() & other.keys()):
        if found.settings[key] != other[key]:
            raise MeasurementError(
                f"--next {following}: its model has {key} = {other[key]}, that of {checkpoint} has "
                f"{found.settings[key]}; name two checkpoints of one run"
            )
    return following


def _tokenizer(path: Path, found: Described) -> Tokenizer:
    from zsl.data.tokenizer import load_tokenizer  # imports what downloads need

    if path.is_dir():
        path = tokenizer_file(Path(), str(path))
    tokenizer = load_tokenizer(path)
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if found.rows is not None and largest >= found.rows:
        raise MeasurementError(
            f"{path}: has the id {largest}, the model's embedding has {found.rows} rows; use the "
            "tokenizer that the model was trained with"
        )
    if found.vocabulary is not None and largest + 1 != found.vocabulary:
        log.warning(
            "%s has %d tokens and the model %d: is it the tokenizer that it was trained with?",
            path,
            largest + 1,
            found.vocabulary,
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
