"""D of loss changes within groups of tokens, and how much of D is between the groups."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from zsl.figures import style
from zsl.study import Study

TITLES = {
    "position": "by position (tokens of context)",
    "frequency": "by the predicted token's share of training tokens (%)",
}
LOOKS: dict[str, dict[str, Any]] = {
    "total": {"linestyle": "-"},
    "within": {"linestyle": (0, (2, 1.2))},
}
LABELS = {"total": "$D$ of all tokens", "within": "part within groups"}
COLUMNS = ["part", "run", "label", "imported", "step", "step_next", "by", "low", "high", "n", "D"]


def data(study: Study) -> pd.DataFrame:
    """Columns ``COLUMNS``, of the first and the last run, the smallest and the largest.

    Parts: ``group``, D of the changes from step to step_next in each group; ``total``, D of all
    tokens; ``within``, the mean of D over groups weighted by their sums of absolute changes;
    ``t_d``, the steps of deceleration.
    """
    table = study.curve("breakdown").assign(part="group", imported=False)
    drawn = list(dict.fromkeys(table["run"]))
    table = table[table["run"].isin([drawn[0], drawn[-1]])]
    sums = table.assign(absolute=table["n"] * table["M"], change=table["n"] * table["mean"]).assign(
        uncancelled=lambda rows: rows["change"].abs()
    )
    keys = ["run", "label", "imported", "step", "step_next", "by"]
    columns = ["absolute", "change", "uncancelled", "n"]
    whole = sums.groupby(keys, sort=False)[columns].sum().reset_index()
    total = whole.assign(part="total", D=1 - whole["change"].abs() / whole["absolute"])
    within = whole.assign(part="within", D=1 - whole["uncancelled"] / whole["absolute"])
    breaks = style.deceleration(study, table["run"])
    parts = pd.concat([table, total, within, breaks], ignore_index=True)[COLUMNS]
    return parts.astype({"step_next": "Int64", "n": "Int64"})


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw a row of panels for each run: D of groups by position to the left, by frequency."""
    runs = data.loc[data["part"] == "group", ["run", "label"]].drop_duplicates()
    figure = style.figure(style.DOUBLE, 1.1 + 1.7 * len(runs))
    grid = figure.subplots(len(runs), 2, sharex=True, sharey=True, squeeze=False)
    for line, (run, label) in zip(grid, runs.itertuples(index=False), strict=True):
        of_run = data[data["run"] == run]
        for axes, by in zip(line, TITLES, strict=True):
            span = style.draw_deceleration(axes, of_run)
            groups = _draw_groups(axes, of_run[of_run["by"] == by], by)
            if axes in grid[0]:
                axes.legend(
                    handles=groups, title=TITLES[by], title_fontsize=7, ncols=3,
                    loc="lower center", bbox_to_anchor=(0.5, 1.0),
                )  # fmt: skip
            if axes not in grid[-1]:
                axes.set_xlabel("")
        line[0].set_ylabel(rf"$D(\Delta_t^{{2t}}\,\ell)$, {label}")
    grid[0, 0].set_ylim(0, 1)
    entries = [
        Line2D([], [], color="black", label=text, **LOOKS[part]) for part, text in LABELS.items()
    ]
    figure.legend(handles=[*entries, *span], loc="outside lower center", ncols=3)
    return figure


def _draw_groups(axes: Axes, rows: pd.DataFrame, by: str) -> list[Line2D]:
    """One panel: a line for each group, and for all; returns the entries of the groups."""
    groups = list(rows[rows["part"] == "group"].groupby(["low", "high"]))
    entries = []
    shades = colormaps["YlOrRd"](np.linspace(0.3, 1, len(groups)))
    for (ends, group), shade in zip(groups, shades, strict=True):
        low, high = cast(tuple[float, float], ends)
        look: dict[str, Any] = {
            "color": to_hex(shade),
            "marker": "o",
            "linewidth": 0.8,
            "markersize": 2.2,
        }
        axes.plot(group["step"], group["D"], clip_on=False, **look)
        entries.append(Line2D([], [], label=_range(low, high, by), **look))
    for part, look in LOOKS.items():
        line = rows[rows["part"] == part]
        axes.plot(line["step"], line["D"], color="black", clip_on=False, zorder=3, **look)
    style.log_steps(axes)
    return entries


def _range(low: float, high: float, by: str) -> str:
    """The values of a group: tokens of context, or per cent."""
    if by == "position":
        return f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"
    return f"{100 * low:.2g} to {100 * high:.2g}"
