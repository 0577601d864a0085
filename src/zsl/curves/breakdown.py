"""D and M of loss changes within groups of tokens: by place in the sequence, by frequency.

Sums over all tokens are the sums over groups of n mean and n M. So is what interferes: n mean of
two groups cancel where one improves while the other degrades, all else cancels within groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from zsl.data.tokens import TokenFiles
from zsl.errors import MeasurementError
from zsl.measurements.hdf5 import array, checkpoints, reading, step_of
from zsl.measurements.interference import interference

COUNTED = 2**27
"""At most so many training tokens are counted, spread evenly over the corpus."""


@dataclass(frozen=True)
class Grouping:
    """Groups of the evaluation tokens."""

    by: Literal["position", "frequency"]
    """What they differ in."""
    group: np.ndarray
    """Group of each prediction, (sequences, positions), from 0; none is empty."""
    low: np.ndarray
    """Smallest value in each group, (groups,)."""
    high: np.ndarray
    """Largest value in each group, (groups,)."""


def by_position(shape: tuple[int, int], groups: int) -> Grouping:
    """Groups of predictions, (sequences, positions), by tokens of context, 1 to positions.

    At most ``groups``, evenly long on a logarithmic axis as far as whole numbers allow.
    """
    context = np.arange(1, shape[1] + 1)
    edges = np.unique(np.geomspace(1, shape[1] + 1, groups + 1).round().astype(int))
    group = np.searchsorted(edges, context, side="right") - 1
    return Grouping("position", np.broadcast_to(group, shape), edges[:-1], edges[1:] - 1)


def by_frequency(predicted: np.ndarray, counts: np.ndarray, groups: int) -> Grouping:
    """Groups of predictions by how frequent the ``predicted`` token is in training.

    ``predicted`` (sequences, positions) are ids, ``counts`` (ids,) their numbers. At most
    ``groups``, of equally many predictions as far as tokens of one count can be told apart.
    Values are shares of the tokens counted.
    """
    count = counts[predicted]
    at = np.arange(1, groups) / groups
    ends = np.unique(np.quantile(count, at, method="inverted_cdf"))
    group = np.searchsorted(ends, count, side="left")
    each = [count[group == g] / counts.sum() for g in range(group.max() + 1)]
    low, high = np.array([[shares.min(), shares.max()] for shares in each]).T
    return Grouping("frequency", group, low, high)


def token_counts(tokens: TokenFiles, ids: int, counted: int = COUNTED) -> np.ndarray:
    """How often each of ``ids`` token ids occurs in ``tokens``, (ids,).

    In a corpus of more than ``counted`` tokens, in sequences spread evenly over it.
    """
    read = min(len(tokens), max(1, counted // tokens.sequence_length))
    chosen = np.linspace(0, len(tokens) - 1, read).round().astype(np.int64)
    total = np.zeros(ids, np.int64)
    for part in np.array_split(chosen, -(-read * tokens.sequence_length // 2**24)):
        total += np.bincount(tokens.batch(part).ravel(), minlength=ids)
    return total


def breakdown(run: str, paths: Sequence[Path], groupings: Sequence[Grouping]) -> pd.DataFrame:
    """D, M and mean of the changes in the delta-loss files ``paths``, by interval and group."""
    rows = []
    for path in paths:
        with reading(path) as file:
            for interval in checkpoints(file):
                steps = {name: step_of(interval, name) for name in ("step", "step_next")}
                delta = array(interval, "delta_loss", 2)
                _fits(groupings, delta.shape, path)
                for grouping in groupings:
                    rows += [{"run": run, **steps, **row} for row in _by_group(delta, grouping)]
    return pd.DataFrame(rows).sort_values("step", kind="stable", ignore_index=True)


def _fits(groupings: Sequence[Grouping], shape: tuple[int, ...], path: Path) -> None:
    if wrong := [grouping.group.shape for grouping in groupings if grouping.group.shape != shape]:
        raise MeasurementError(
            f"{path}: has changes of {shape} predictions, the evaluation set has {wrong[0]}; "
            "delete the file and run again"
        )


def _by_group(delta: np.ndarray, grouping: Grouping) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for group, (low, high) in enumerate(zip(grouping.low, grouping.high, strict=True)):
        values = delta[grouping.group == group]
        found = interference(values)
        ends = {"by": grouping.by, "low": low, "high": high, "n": values.size}
        rows.append({**ends, "D": found.D, "M": found.M, "mean": found.mean})
    return rows
