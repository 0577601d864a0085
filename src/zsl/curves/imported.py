"""Loss curves that others logged, as tidy tables; columns as :mod:`zsl.study` describes them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zsl.config.base import STEPS
from zsl.config.imported import ImportedCurve
from zsl.curves.formats import Logged, read_rows
from zsl.curves.smoothing import lsma, thin
from zsl.errors import BrokenFileError

SEPARATED = re.compile(r"\s*\d{1,3}([.,' ]\d{3})+\s*")
"""1.000 is one or a thousand."""


@dataclass(frozen=True)
class Facts:
    """What was found in a file."""

    losses: int
    """Rows that make the curve, before it is thinned."""
    interval: int
    """Median number of steps from one of them to the next."""
    without_loss: int
    """Rows with a step and nothing for a loss, such as W&B's of other metrics."""
    repeated: int
    """Rows left out that repeat a step with its loss."""
    superseded: int
    """Rows left out since the run was resumed from an earlier step and logged on."""
    not_finite: int
    """Rows left out whose loss is NaN or infinite: what a window averages is the others."""
    before_the_first: int
    """Rows left out at step 0, which has no logarithm and is in no window."""

    def said(self) -> list[str]:
        """What a reader of the curve has to know, in words; nothing where all is as usual."""
        found = (
            (self.repeated, "repeating a step with the same loss counted once"),
            (self.superseded, "logged again after a resume left out"),
            (self.not_finite, "without a finite loss left out"),
        )
        return [f"{n:,} row{'s' * (n > 1)} {what}" for n, what in found if n]


def imported_curve(
    run: str, source: ImportedCurve, path: Path, *, k: float, first: int
) -> tuple[pd.DataFrame, str, Facts]:
    """A run's train loss from the file at ``path``, the note that goes with it, and the facts.

    Raw losses are smoothed by LSMA_k over the steps that were logged; then steps are thinned as
    :func:`zsl.curves.smoothing.thin` does. Raises ZslError naming the first row that is wrong.
    """
    label = run.split("-", 1)[-1]
    logged = read_rows(path, source, source.name or label)
    steps, losses, facts = _losses(path, source, logged)
    raw = source.values == "raw"
    smoothed = lsma(steps, losses, k) if raw else losses
    kept = thin(steps, first)
    table = pd.DataFrame(
        {
            "run": run,
            "step": steps[kept],
            "train_loss": losses[kept] if raw else np.nan,
            "smoothed_train_loss": smoothed[kept],
        }
    )
    return table, _note(label, source, logged, facts, k), facts


def published_curve(name: str, path: Path) -> pd.DataFrame:
    """The authors' smoothed train loss of model ``name``: step, smoothed_train_loss.

    Raises ZslError where the file at ``path`` does not hold that model in their form.
    """
    source = ImportedCurve(path=str(path), format="authors", values="smoothed", name=name)
    steps, losses, _ = _losses(path, source, read_rows(path, source, name))
    return pd.DataFrame({"step": steps, "smoothed_train_loss": losses})


def _note(label: str, source: ImportedCurve, logged: Logged, facts: Facts, k: float) -> str:
    """Origin of a curve, whether it was raw, and what was left out."""
    if source.values == "smoothed":
        kind = "smoothed before it was imported"
    else:
        every = f" logged every {facts.interval:,} steps" if facts.interval > 1 else ""
        means = " (each the mean over the steps since the one before)" if logged.means else ""
        kind = f"raw losses{every}{means}, smoothed here by LSMA with k = {k:g}"
    left_out = facts.said()
    said = [source.note, kind, f"of {label}, {', '.join(left_out)}" if left_out else ""]
    return "; ".join(part for part in said if part)


def _losses(
    path: Path, source: ImportedCurve, logged: Logged
) -> tuple[np.ndarray, np.ndarray, Facts]:
    """Steps, ascending from 1, (n,), and their finite losses (n,), nats."""
    rows: list[tuple[int, int, float]] = []
    empty = 0
    for place, step, loss in logged.rows:
        if loss is None or (isinstance(loss, str) and not loss.strip()):
            empty += 1
            continue
        where = f"{path}, {logged.place} {place}"
        rows.append((place, _step(step, where), _loss(loss, where, logged.decimal)))
    if not rows:
        raise BrokenFileError(f"{path}: has no losses")
    table = pd.DataFrame(rows, columns=["place", "step", "loss"])
    unique = _later(table) if source.repeated == "later" else _ascending(table, path, logged.place)
    known = unique[np.isfinite(unique["loss"])]
    after = known[known["step"] > 0]
    if after.empty:
        raise BrokenFileError(f"{path}: has no finite loss at a step after 0")
    again = table.merge(unique, on=["step", "loss"])
    steps = after["step"].to_numpy()
    return (
        steps,
        after["loss"].to_numpy(),
        Facts(
            losses=len(after),
            interval=int(np.median(np.diff(steps))) if len(steps) > 1 else 1,
            without_loss=empty,
            repeated=len(again) - len(unique),
            superseded=len(table) - len(again),
            not_finite=len(unique) - len(known),
            before_the_first=len(known) - len(after),
        ),
    )


def _ascending(table: pd.DataFrame, path: Path, place: str) -> pd.DataFrame:
    """The rows without those that repeat a step with its loss. Raises where others go back."""
    unique = table[~table.duplicated(["step", "loss"])]
    back = np.flatnonzero(np.diff(unique["step"]) <= 0)
    if len(back):
        row = unique.iloc[back[0] + 1]
        same = unique[(unique["step"] == row.step) & (unique["place"] < row.place)]
        if same.empty:
            said = f"step {row.step:.0f} after step {unique['step'].iloc[back[0]]}"
        else:
            said = (
                f"step {row.step:.0f} has the loss {row.loss:g}, and {same['loss'].iloc[0]:g} in "
                f"{place} {same['place'].iloc[0]}"
            )
        raise BrokenFileError(
            f"{path}, {place} {row.place:.0f}: {said}; if the run was resumed, repeated: later "
            "keeps the later rows; else correct the file"
        )
    return unique


def _later(table: pd.DataFrame) -> pd.DataFrame:
    """The rows at steps that no later row has reached again."""
    steps = table["step"].to_numpy()
    lowest = np.minimum.accumulate(steps[::-1])[::-1]
    return table[np.append(steps[:-1] < lowest[1:], True)]


def _step(value: Any, where: str) -> int:
    number = _number(value)
    if number is None or not number.is_integer() or SEPARATED.fullmatch(str(value)):
        raise BrokenFileError(
            f"{where}: step {_shown(value)} is no whole number; expected the number of optimizer "
            "steps, written without separators"
        )
    if not 0 <= number <= STEPS:
        raise BrokenFileError(f"{where}: step {_shown(value)} is not within 0 and {STEPS:,}")
    return int(number)


def _loss(value: Any, where: str, decimal: str) -> float:
    if isinstance(value, str) and decimal != ".":
        value = value.replace(decimal, ".")
    number = _number(value)
    if number is None:
        raise BrokenFileError(f"{where}: loss {_shown(value)} is no number")
    if math.isfinite(number) and number <= 0:
        raise BrokenFileError(
            f"{where}: loss {_shown(value)} is not above 0, and has no logarithm; expected a "
            "cross-entropy in nats"
        )
    return number


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _shown(value: Any) -> str:
    plain = isinstance(value, str | int | float | None)
    return repr(value)[:40] if plain else f"of type {type(value).__name__}"
