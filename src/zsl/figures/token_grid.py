"""Loss landscapes of single tokens, models by checkpoints: Figs 18 and 19."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from zsl.figures import style
from zsl.figures.token_panels import draw_panel, evenly, key, panels_data, y_limit
from zsl.study import Study

ROWS = 5
"""Checkpoints drawn."""
TOKENS = 100
"""Tokens drawn: more would be one area in panels of this size."""


def grid_data(table: pd.DataFrame, steps: Sequence[int]) -> pd.DataFrame:
    """``panels_data`` of at most ``ROWS`` of ``steps`` and ``TOKENS`` of the tokens."""
    tokens = evenly(sorted(table["token"].unique()), TOKENS)
    return panels_data(table[table["token"].isin(tokens)], evenly(steps, ROWS))


def draw_grid(data: pd.DataFrame, study: Study) -> Figure:
    """A column per model and a row per checkpoint; the panels of a row share their y axis."""
    runs = [run for run in study.runs if run.id in set(data["run"])]
    steps = sorted(data["step"].unique())
    figure = style.figure(style.DOUBLE, 0.7 + 1.05 * len(steps), dots=180)
    grid = figure.subplots(len(steps), len(runs), sharex=True, sharey="row", squeeze=False)
    for step, line in zip(steps, grid, strict=True):
        row = data[data["step"] == step]
        for run, axes in zip(runs, line, strict=True):
            draw_panel(axes, row[row["run"] == run.id], opacity=1)
        limit = y_limit(row)
        line[0].set(ylim=(-limit, limit), ylabel=f"$t$ = {step}")
    for run, axes in zip(runs, grid[0], strict=True):
        axes.set_title(run.label)
    figure.supxlabel(r"$\alpha$", fontsize=7.5)
    figure.supylabel(r"$\Delta\ell$ (nats)", fontsize=7.5)
    figure.legend(handles=key(), loc="outside upper center", ncols=3)
    return figure
