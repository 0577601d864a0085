"""Fig. 12: histograms of gradient destructive interference, by proxy, around deceleration."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from zsl.figures import style
from zsl.study import Study

PANELS = 4
"""Checkpoints drawn: those nearest to deceleration on the logarithmic axis of steps."""


def data(study: Study) -> pd.DataFrame:
    """Columns run, label, step, low, high, count, density, of the checkpoints that are drawn.

    ``density`` integrates to 1 over D for each run and step.
    """
    table = study.curve("gradient_histograms")
    drawn = _around_deceleration(table, study)
    table = table[table["step"].isin(drawn)].reset_index(drop=True)
    total = table.groupby(["run", "step"])["count"].transform("sum")
    table["density"] = table["count"] / total / (table["high"] - table["low"])
    return table


def _around_deceleration(table: pd.DataFrame, study: Study) -> list[int]:
    """Powers of two that all runs have a checkpoint at, nearest to the runs' mean log t_d.

    Without a fit that found one, the last ones.
    """
    breaks = [np.log(fit["t_d"]) for fit in study.sound_fits()]
    middle = np.mean(breaks) if breaks else np.log(table["step"].max())
    common = set.intersection(*(set(rows["step"]) for _, rows in table.groupby("run")))
    powers = [step for step in common if step > 0 and step & (step - 1) == 0]
    nearest = sorted(powers, key=lambda step: (abs(np.log(step) - middle), step))
    return sorted(nearest[:PANELS])


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """One panel per checkpoint, one outline per run, densities on a logarithmic axis."""
    steps = sorted(data["step"].unique())
    figure = style.figure(style.DOUBLE, 1.9)
    panels = figure.subplots(1, len(steps), sharex=True, sharey=True, squeeze=False).ravel()
    colour = style.colours(study)
    for axes, step in zip(panels, steps, strict=True):
        for run, rows in data[data["step"] == step].groupby("run", sort=False):
            edges = [*rows["low"], rows["high"].iloc[-1]]
            axes.stairs(rows["density"], edges, color=colour[str(run)], linewidth=0.9)
        axes.set_title(f"$t$ = {step}")
        axes.set(xlim=(0, 1), xlabel=r"$D(\nabla_\theta\,\ell)$, proxy", yscale="log")
    panels[0].set_ylabel("density")
    style.legend(figure, study, data["run"].unique(), columns=8)
    return figure
