"""Fig. 8: loss landscapes of single tokens along the next update, for the largest model."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from zsl.figures import style
from zsl.figures.token_panels import draw_panel, evenly, key, panels_data, powers_of_two, y_limit
from zsl.study import Study

AROUND = (1 / 64, 1 / 8, 1, 8)
"""Checkpoints drawn: those nearest to these multiples of t_d."""


def data(study: Study) -> pd.DataFrame:
    """Columns run, label, step, update_norm, token, alpha, delta_loss, improves; of one run.

    The last run of the study that is measured, at checkpoints around its t_d; without a fit,
    at evenly spaced ones. See ``panels_data``.
    """
    table = study.curve("token_landscapes")
    table = table[table["run"] == table["run"].iloc[-1]]
    steps = powers_of_two(table)
    breaks = style.deceleration(study, table["run"])["step"]
    if breaks.empty:
        return panels_data(table, evenly(steps, len(AROUND)))
    wanted = np.log(breaks.iloc[0]) + np.log(AROUND)
    return panels_data(table, [min(steps, key=lambda s: abs(np.log(s) - w)) for w in wanted])


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """One panel per checkpoint, all with the same axes."""
    figure = style.figure(style.DOUBLE, 2.1, dots=150)  # a quarter of the file
    checkpoints = list(data.groupby("step"))
    panels = figure.subplots(1, len(checkpoints), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (step, rows) in zip(panels, checkpoints, strict=True):
        draw_panel(axes, rows, opacity=0.25)
        axes.set(title=f"$t$ = {step}", xlabel=r"$\alpha$")
    limit = y_limit(data)
    panels[0].set(ylim=(-limit, limit), ylabel=r"$\Delta\ell$ (nats)")
    figure.legend(handles=key(), loc="outside upper center", ncols=3, title=data["label"].iloc[0])
    return figure
