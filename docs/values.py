"""The numbers that README.md and docs/*.md quote, each by the name in its markers.

``<!--= context -->64<!--/-->`` in Markdown quotes ``context``, and words after the name are
arguments. Results are read from an experiment's artifacts, settings from its plan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zsl.claims import WORDS, verdicts
from zsl.config.load import Plan, load
from zsl.config.schema import EvalSplit, Run
from zsl.figures import render
from zsl.figures.fig03 import SPREAD
from zsl.files import read_json
from zsl.planning.estimate import RunCost, estimate
from zsl.study import Study, make_study

ROOT = Path(__file__).parents[1]
COUNTS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
REST = 0.99
"""A loss rests at token frequencies until it is below this part of their entropy."""


@cache
def plan(name: str) -> Plan:
    """The plan of a shipped configuration."""
    return load([ROOT / f"config/{name}.yaml"])


def study_of(results: Path, figure: str) -> Study:
    """What a figure in a folder of results was made from, as its lineage record says."""
    record = read_json(results / f"lineage/figures/{figure}.json")
    files: dict[str, list[str]] = {}
    for file in record["inputs"]:
        _, _, *parts = Path(file["path"]).parts  # results/<experiment>/...
        files.setdefault(file["name"], []).append(str(results.joinpath(*parts)))
    return make_study(record["params"]["study"], files)


@dataclass(frozen=True)
class Results:
    """An experiment and its folder of results; what was not made raises FileNotFoundError."""

    folder: Path
    plan: Plan

    def csv(self, path: str) -> pd.DataFrame:
        """A table below the folder."""
        return pd.read_csv(self.folder / path, float_precision="round_trip")

    def json(self, path: str) -> Any:
        """A JSON file below the folder."""
        return read_json(self.folder / path)

    def fit(self, run: str) -> Any:
        """The fit of a run."""
        return self.json(f"fits/{run}.json")

    def claims(self, figure: str) -> list[pd.DataFrame]:
        """The verdicts on each claim of a figure, with a row for each run."""
        table = verdicts(figure, render.module(figure).CLAIMS, study_of(self.folder, figure))
        return [rows for _, rows in table.groupby("statement", sort=False)]

    @property
    def main(self) -> list[str]:
        """Runs of the suite main, from the smallest."""
        return self.plan.run_ids("main")

    @property
    def first(self) -> Run:
        """A run of the suite main, for the settings that all of them share."""
        return self.plan.runs[self.main[0]]

    @property
    def seeds(self) -> list[str]:
        """The repeated run, and its repetitions with other seeds."""
        ((run, again),) = self.plan.seeds.items()
        return [run, *again]

    @property
    def text(self) -> Any:
        """The manifest of the text that the suite main reads."""
        return self.json(f"data/{self.first.corpus}/manifest.json")

    @property
    def evaluation(self) -> EvalSplit:
        """How the evaluation tokens of the suite main are set apart."""
        return self.plan.corpus(self.main[0]).evaluation

    @property
    def sizes(self) -> pd.Series:
        """Numbers of parameters of the runs of the suite main."""
        return self.csv("tables/table3.csv")["n_parameters"]


def word(n: float) -> str:
    """A count in letters up to ten, else in digits."""
    return COUNTS[int(n)] if n in range(len(COUNTS)) else f"{n:,g}"


def percent(part: float) -> str:
    """Rounded, with a space before the sign."""
    return f"{100 * part:.0f} %"


def span(*values: float) -> str:
    """From the smallest to the largest, or one number where both are printed the same."""
    return " to ".join(dict.fromkeys([f"{min(values):,.0f}", f"{max(values):,.0f}"]))


def batch(run: Run) -> int:
    """Training tokens of a step."""
    return run.batch_size * run.sequence_length


def share_read(results: Results) -> float:
    """Training tokens of a run of the suite main, in those of its corpus."""
    return results.first.steps * batch(results.first) / results.text["train_tokens"]


def multiples(plan: Plan) -> str:
    """Sizes of batches in the suite batch_sequence, each times that of main."""
    main, *_ = plan.run_ids("main")
    batches = {batch(plan.runs[id]) for id in plan.run_ids("batch_sequence")}
    return " and ".join(word(n / batch(plan.runs[main])) for n in sorted(batches))


def peak(results: Results, run: str) -> float:
    """Step t of the largest D before t_d / 4 that is above both of its neighbours."""
    rows = results.csv(f"curves/delta_loss/{run}.csv")
    D, t = rows["D"], rows["step"]
    peaks = D.gt(D.shift(1)) & D.gt(D.shift(-1)) & t.lt(results.fit(run)["t_d"] / 4)
    return float(t[D[peaks].idxmax()])


def between_frequencies(results: Results, run: str) -> float:
    """Part of D at the early peak of a run that is not within groups of tokens by frequency."""
    rows = results.csv("figures/breakdown.csv")
    rows = rows[(rows["run"] == run) & (rows["by"] == "frequency")]
    D = rows[rows["step"] == peak(results, run)].set_index("part")["D"]
    return float(1 - D["within"] / D["total"])


def orders(results: Results, key: str, sign: int) -> list[bool]:
    """Whether a result of the fits rises with size (``sign`` 1) or falls (-1), for each first
    fitted step that was tried of the largest model; of the others it is interpolated in log t."""
    tables = [results.csv(f"curves/sensitivity/{run}.csv") for run in results.main]
    cuts = [rows[rows["parameter"] == "cut"] for rows in tables]
    at = np.log(cuts[-1]["value"])
    values = [np.interp(at, np.log(rows["value"]), rows[key]) for rows in cuts]
    return [bool(found) for found in (sign * np.diff(values, axis=0) > 0).all(axis=0)]


def after(results: Results, figure: str) -> pd.DataFrame:
    """What a figure draws of each run from t_d on."""
    rows = results.csv(f"figures/{figure}.csv")
    rows = rows[rows["part"] != "t_d"]
    return rows[rows["step"] >= rows["run"].map(lambda run: results.fit(run)["t_d"])]


def rest(results: Results, optimizer: str) -> int:
    """Step at which the loss leaves the entropy of token frequencies, to tens."""
    corpus = results.json("data/questions/manifest.json")
    tokens = [results.folder / "data/questions/tokens" / part["name"] for part in corpus["train"]]
    counts = sum(
        np.bincount(np.fromfile(path, corpus["dtype"]), minlength=corpus["vocab_size"])
        for path in tokens
    )
    shares = counts[counts > 0] / counts.sum()
    rows = results.csv(f"curves/train_loss/optimizer-{optimizer}.csv")
    left = rows["smoothed_train_loss"] < -REST * (shares * np.log(shares)).sum()
    return round(int(rows.loc[left, "step"].min()), -1)


def claim(results: Results, figure: str, n: str) -> str:
    """Verdict on a claim, with the interval over the seeds of the repeated size."""
    rows = results.claims(figure)[int(n)]
    ((holds, low, high),) = rows.loc[rows["seeds"] > 1, ["holds", "low", "high"]].to_numpy()
    return f"**{WORDS[holds]}**: {low:.2g} to {high:.2g}"


def once(results: Results, figure: str, n: str) -> str:
    """Values of a claim for the sizes with one seed, from the smallest."""
    rows = results.claims(figure)[int(n)]
    return ", ".join(f"{value:.2g}" for value in rows.loc[rows["seeds"] == 1, "value"])


def characters(results: Results) -> int:
    """Characters of the training text."""
    sources = results.text["sources"]
    return sum(source["characters"] for source in sources if source["use"] == "train")


def items_whole(results: Results) -> float:
    """Part of the items of downstream tasks that the models' context holds whole."""
    rows = results.csv("figures/fig17.csv")
    return float(1 - rows["cut"].sum() / rows["items"].sum())


@cache
def costs(name: str, gpu: str) -> dict[str, RunCost]:
    """What the runs of a shipped configuration cost, by their labels."""
    suites = estimate(plan(name), gpu=gpu, utilisation=0.4).suites
    return {run.id.split("-", 1)[1]: run for suite in suites for run in suite.runs}


def hours(name: str, gpu: str, run: str) -> str:
    """Of all measurements of a run."""
    return f"{sum(cost.gpu_hours for cost in costs(name, gpu)[run].measurements.values()):.1f}"


def evaluated(name: str) -> str:
    """Evaluation sequences of a shipped configuration."""
    return f"{Results(ROOT, plan(name)).evaluation.sequences}"


def update_batch(name: str) -> str:
    """Sequences of the batch of an update in a shipped configuration."""
    return f"{Results(ROOT, plan(name)).first.update_batch_size}"


VALUES: dict[str, Callable[..., str]] = {
    # Checkpoints of others.
    "fetched": lambda of, run: f"{costs('authors', 'H100')[run].fetched / 1e9:.0f}",
    "measured": lambda of, name, gpu, run: hours(name, gpu, run),
    "evaluated": lambda of, name: evaluated(name),
    "update_batch": lambda of: (
        f"{Results(of.folder, plan('authors_laptop')).first.update_batch_size}"
    ),
    # Models, their training, and what they are measured on.
    "n_sizes": lambda of: word(len(of.main)),
    "n_seeds": lambda of: word(len(of.seeds)),
    "smallest_model": lambda of: f"{of.sizes.min() / 1e3:.0f} thousand",
    "largest_model": lambda of: f"{of.sizes.max() / 1e3:.0f} thousand",
    "steps_as_power": lambda of: f"2^{log2(of.first.steps):g}",
    "context": lambda of: f"{of.first.sequence_length}",
    "batch_tokens": lambda of: f"{batch(of.first):,}",
    "paper_batch_tokens": lambda of: f"{batch(Results(of.folder, plan('paper')).first):,}",
    "ablation_batches": lambda of: multiples(of.plan),
    "paper_ablation_batches": lambda of: multiples(plan("paper")),
    "tokens_read": lambda of: f"{of.first.steps * batch(of.first) / 1e6:.2g} million",
    "share_read": lambda of: percent(share_read(of)),
    "most_measured": lambda of: (
        f"{of.evaluation.sequences * (of.evaluation.sequence_length - 1):,}"
    ),
    # The training text.
    "documents": lambda of: f"{of.text['documents'] / 1e3:.0f} thousand",
    "characters": lambda of: f"{characters(of) / 1e6:.0f} million",
    "train_tokens": lambda of: f"{of.text['train_tokens'] / 1e6:.1f} million",
    "vocabulary": lambda of: f"{of.text['vocab_size']:,}",
    "window": lambda of: f"{of.evaluation.window}",
    "question_sources": lambda of: word(len(of.json("data/questions/manifest.json")["sources"])),
    # Fits; falls and rises with size, of the first fitted steps that were tried.
    "t_d_interval": lambda of: span(*of.fit(of.main[-1])["intervals"]["t_d"]),
    "t_d_of_seeds": lambda of: span(*(of.fit(run)["t_d"] for run in of.seeds)),
    "fitted": lambda of, key: ", ".join(f"{of.fit(run)[key]:.3g}" for run in of.main),
    "largest_misfit": lambda of: f"{max(of.fit(run)['RSLE'] for run in {*of.main, *of.seeds}):.2g}",
    "n_cuts": lambda of: word(len(orders(of, "L_d", -1))),
    "falls": lambda of, key: word(sum(orders(of, key, -1))),
    "rises": lambda of, key: word(sum(orders(of, key, 1))),
    # Interference.
    "claim": claim,
    "once": once,
    "rise_factor": lambda of: word(SPREAD),
    "early_peak": lambda of: span(*(peak(of, run) for run in of.main)),
    "between_frequencies": lambda of, at: percent(between_frequencies(of, of.main[int(at)])),
    "cosine_after": lambda of: f"{after(of, 'fig11')['cos'].abs().max():.2f}",
    "one_step_D": lambda of: f"{after(of, 'fig16')['D_eval'].min():.2f}",
    # Downstream tasks and optimizers.
    "items_whole": lambda of: percent(items_whole(of)),
    "rest": lambda of, optimizer: f"{rest(of, optimizer)}",
}
"""What a marker shows, from the results and the marker's arguments."""
