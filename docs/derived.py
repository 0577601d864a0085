"""What several of the numbers in ``docs/values.py`` are computed with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from artifacts import FillError, Mini

from zsl.config.load import Plan
from zsl.config.schema import Run

WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
REST = 0.99
"""A loss rests at token frequencies until it is below this part of their entropy."""


def word(n: float) -> str:
    """A count in letters up to ten, else in digits."""
    return WORDS[int(n)] if n in range(len(WORDS)) else f"{n:,g}"


def percent(part: float) -> str:
    """Rounded, with a space before the sign."""
    return f"{100 * part:.0f} %"


def main(plan: Plan) -> Run:
    """A run of the suite main, for the settings that all of them share."""
    return plan.runs[plan.run_ids("main")[0]]


def batch(run: Run) -> int:
    """Training tokens of a step."""
    return run.batch_size * run.sequence_length


def tokens(run: Run) -> int:
    """Training tokens of a run."""
    return run.steps * batch(run)


def predictions(mini: Mini) -> int:
    """Predictions in an evaluation sequence: none of its first token."""
    corpus = mini.plan.experiment.corpora[main(mini.plan).corpus]
    return corpus.evaluation.sequence_length - 1


def manifest(mini: Mini) -> dict[str, Any]:
    """What the training text of the suite main is."""
    return mini.json(f"data/{main(mini.plan).corpus}/manifest.json")


def peak(mini: Mini, run: str) -> float:
    """Step t of the largest D before t_d / 4 that is above both of its neighbours."""
    rows = mini.csv(f"curves/delta_loss/{run}.csv")
    D, t = rows["D"], rows["step"]
    peaks = D.gt(D.shift(1)) & D.gt(D.shift(-1)) & t.lt(mini.fit(run)["t_d"] / 4)
    if not peaks.any():
        raise FillError(f"early_peak: D of {run} has no early peak; the phrase is wrong now")
    return float(t[D[peaks].idxmax()])


def between_frequencies(mini: Mini, run: str) -> float:
    """Part of D at the early peak of a run that is not within groups of tokens by frequency."""
    rows = mini.csv("figures/breakdown.csv")
    rows = rows[(rows["run"] == run) & (rows["by"] == "frequency")]
    D = rows[rows["step"] == peak(mini, run)].set_index("part")["D"]
    return float(1 - D["within"] / D["total"])


def orders(mini: Mini, key: str, sign: int) -> list[bool]:
    """Whether a result of the fits rises with size (``sign`` 1) or falls (-1), for each first
    fitted step that was tried of the largest model; of the others it is interpolated in log t."""
    tables = [mini.csv(f"curves/sensitivity/{run}.csv") for run in mini.plan.run_ids("main")]
    cuts = [rows[rows["parameter"] == "cut"] for rows in tables]
    at = np.log(cuts[-1]["value"])
    values = [np.interp(at, np.log(rows["value"]), rows[key]) for rows in cuts]
    return [bool(found) for found in (sign * np.diff(values, axis=0) > 0).all(axis=0)]


def after(mini: Mini, figure: str) -> pd.DataFrame:
    """Rows of a figure from t_d on."""
    rows = mini.curve(figure)
    return rows[rows["step"] >= rows["run"].map(lambda run: mini.fit(run)["t_d"])]


def multiples(plan: Plan) -> str:
    """Sizes of batches in the suite batch_sequence, each times that of main."""
    batches = {batch(plan.runs[id]) for id in plan.run_ids("batch_sequence")}
    return " and ".join(word(n / batch(main(plan))) for n in sorted(batches))


def rest(mini: Mini, optimizer: str) -> str:
    """Step at which the loss leaves the entropy of token frequencies, to tens."""
    manifest = mini.json("data/questions/manifest.json")
    shards = [mini.bytes(f"data/questions/tokens/{part['name']}") for part in manifest["train"]]
    counts = np.bincount(np.frombuffer(b"".join(shards), dtype=manifest["dtype"]))
    shares = counts[counts > 0] / counts.sum()
    entropy = -(shares * np.log(shares)).sum()
    rows = mini.csv(f"curves/train_loss/optimizer-{optimizer}.csv")
    left = rows.loc[rows["smoothed_train_loss"] < REST * entropy, "step"]
    if left.empty:
        raise FillError(f"rest: the loss of {optimizer} does not leave its rest at {entropy:.3g}")
    return f"{round(int(left.min()), -1)}"
