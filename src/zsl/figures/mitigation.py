"""Loss of arms with interventions less the baseline's, at equal tokens and at equal FLOPs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zsl import arms
from zsl.figures import style
from zsl.figures.arm_looks import legend, looks
from zsl.study import RunInfo, Study
from zsl.tables.table_mitigation_rates import SUITE as GRID
from zsl.tables.table_mitigation_rates import grid

SCHEDULES = {"mitigation": "constant rate", "mitigation_cosine": "cosine"}
COLUMNS = [
    *("part", "suite", "arm", "seed", "step", "tokens", "flops", "loss", "difference"),
    *("low", "high", "p_holm", "rate", "chosen", "used"),
]
SINCE = 0.02
"""Curves are drawn from this part of the last step on: before, all losses are far apart."""


def data(study: Study) -> pd.DataFrame:
    """Columns ``COLUMNS``.

    Parts: ``tokens`` and ``flops``, the evaluation loss (nats) at each checkpoint and seed, and its
    difference from that of the baseline's same seed after as many tokens, or as many FLOPs
    (interpolated in log-log between its checkpoints, and empty beyond its last); ``last``, of each
    arm the difference of mean last losses from the baseline's, with its interval and p corrected
    for the number of arms; ``grid``, the last losses of suite mitigation_rates by rate, with the
    rate that the rule chooses and whether it is the one ``used`` in suite mitigation.
    """
    losses = study.all_rows("eval_loss")
    frames = []
    for suite in SCHEDULES:
        runs = arms.arms(study, suite)
        for part in ("tokens", "flops"):
            frames.append(_differences(study, losses, suite, part))
        values = arms.per_seed(study, suite, arms.last(losses, "eval_loss"))
        last = arms.compare(values, arms.against_baseline(runs))
        frames.append(last.assign(part="last", suite=suite))
    found = grid(study).drop(columns="label")
    used = {run.label: _rate(run) for run in arms.arms(study, "mitigation")}
    known = found["arm"].map(used)
    frames.append(found.assign(part="grid", suite=GRID, used=known == found["rate"]))
    table = pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
    numbers = [n for n in COLUMNS if n not in ("part", "suite", "arm", "chosen", "used")]
    return table.reindex(columns=COLUMNS).astype(dict.fromkeys(numbers, float))


def _rate(run: RunInfo) -> float:
    return float(run.settings["optimizer"].get("learning_rate", float("nan")))


def _differences(study: Study, losses: pd.DataFrame, suite: str, part: str) -> pd.DataFrame:
    """Rows of a part ``tokens`` or ``flops``."""
    frames = []
    runs = arms.arms(study, suite)
    for run in runs:
        for seed, id in enumerate(arms.seeds(study, run)):
            rows = _curve(losses, id, run)
            again = arms.seeds(study, runs[0])
            if seed < len(again):
                base = _curve(losses, again[seed], runs[0])
                rows["difference"] = rows["loss"] - _interpolated(base, rows[part], part)
            frames.append(rows.assign(part=part, suite=suite, arm=run.label, seed=seed))
    return pd.concat(frames, ignore_index=True)


def _curve(losses: pd.DataFrame, id: str, run: RunInfo) -> pd.DataFrame:
    """Columns step, tokens, flops and loss of a run, after step 0."""
    rows = losses[(losses["run"] == id) & (losses["step"] > 0)].sort_values("step")
    step = rows["step"].to_numpy(float)
    tokens = run.settings["batch_size"] * run.settings["sequence_length"]
    flops = np.nan if run.step_flops is None else run.step_flops
    return pd.DataFrame(
        {"step": step, "tokens": step * tokens, "flops": step * flops, "loss": rows["eval_loss"]}
    )


def _interpolated(base: pd.DataFrame, at: pd.Series, part: str) -> np.ndarray:
    x, y = np.log(base[part].to_numpy(float)), np.log(base["loss"].to_numpy(float))
    places = np.log(at.to_numpy(float))
    slack = 1e-9  # a point of the baseline's is none beyond its last
    inside = (places >= x[0] - slack) & (places <= x[-1] + slack)
    return np.where(inside, np.exp(np.interp(places, x, y)), np.nan)


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw a row of panels for each schedule, then last differences and the grid of rates."""
    labels = [run.label for run in arms.arms(study, "mitigation")]
    figure = style.figure(style.DOUBLE, 7.4)
    panels = figure.subplots(3, 2)
    for line, (suite, schedule) in zip(panels, SCHEDULES.items(), strict=False):
        for axes, part in zip(line, ("tokens", "flops"), strict=True):
            _draw_curves(axes, data[(data["suite"] == suite) & (data["part"] == part)], part)
            axes.set_title(f"{schedule}: at equal {'FLOPs' if part == 'flops' else part}")
    _draw_last(panels[2, 0], data[data["part"] == "last"], labels)
    _draw_grid(panels[2, 1], data[data["part"] == "grid"], labels)
    legend(figure, labels)
    return figure


def _draw_curves(axes: Axes, rows: pd.DataFrame, part: str) -> None:
    rows = rows[rows["step"] >= SINCE * rows["step"].max()]
    drawn = looks(list(dict.fromkeys(rows["arm"])))
    for arm, of_arm in rows.groupby("arm", sort=False):
        mean = of_arm.groupby("step")[[part, "difference"]].mean()
        ends = of_arm.groupby("step")["difference"].agg(["min", "max"])
        look = drawn[str(arm)]
        axes.plot(mean[part], mean["difference"], marker="", **look)
        area = {"color": look["color"], "alpha": 0.12, "linewidth": 0}
        axes.fill_between(mean[part], ends["min"], ends["max"], **area)
    axes.set_yscale("symlog", linthresh=0.02)
    style.log_steps(axes, "tokens" if part == "tokens" else "FLOPs")
    axes.set_ylabel("loss − baseline (nats)")


def _draw_last(axes: Axes, rows: pd.DataFrame, labels: list[str]) -> None:
    for shift, (suite, schedule) in enumerate(SCHEDULES.items()):
        shown = rows[rows["suite"] == suite]
        at = np.array([labels.index(arm) for arm in shown["arm"]]) + 0.3 * shift - 0.15
        ends = abs(shown[["low", "high"]].to_numpy(float).T - shown["difference"].to_numpy(float))
        axes.errorbar(
            shown["difference"], at, xerr=ends, fmt="os"[shift], label=schedule, markersize=2.5,
            linewidth=0.8, color=style.DISTINCT[shift],
        )  # fmt: skip
    axes.axvline(0, color="0.6", linewidth=0.6)
    axes.set_yticks(range(1, len(labels)), labels[1:])
    axes.invert_yaxis()
    axes.set_xscale("symlog", linthresh=0.02)
    axes.set_xlabel("last loss − baseline (nats), 95 %")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)


def _draw_grid(axes: Axes, rows: pd.DataFrame, labels: list[str]) -> None:
    drawn = looks(labels)
    for arm, of_arm in rows.groupby("arm", sort=False):
        look = drawn.get(str(arm), {"color": "0.5"})
        by_rate = of_arm.sort_values("rate")
        axes.plot(by_rate["rate"], by_rate["loss"], marker="", **look)
        chosen = by_rate[by_rate["chosen"].astype(bool)]
        used = chosen["used"].astype(bool)
        for those, marker in ((chosen[used], "o"), (chosen[~used], "x")):
            axes.plot(those["rate"], those["loss"], marker, color=look["color"], markersize=4)
    axes.set_xscale("log")
    if len(rows):
        style.log_plain(axes.xaxis, 0.99 * rows["rate"].min(), 1.01 * rows["rate"].max())
    axes.set_xlabel("peak rate (○ chosen; × chosen, but not used)")
    axes.set_ylabel("last loss of the grid (nats)")
