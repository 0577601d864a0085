"""Fig. 15: how the number of steps between checkpoints changes destructive interference."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from zsl.errors import ZslError
from zsl.figures import style
from zsl.figures.by_step import draw_by_step
from zsl.study import Study

PANELS = {
    "a": ("main", "decades", r"a) 1, 2, …, 10, 20, …: $\Delta t = 10^{\lfloor\log_{10}t\rfloor}$"),
    "b": ("optimizer", "doublings", r"b) 1, 2, 4, …: $\Delta t = t$"),
    "c": ("optimizer", "every", "c) evenly spaced"),
}
"""Suite, grid of checkpoints and title of each panel."""
COLUMNS = ["part", "panel", "run", "label", "imported", "grid", "step", "step_next", "D"]
COLUMNS += ["D_low", "D_high"]
TENFOLD: dict[str, Any] = {
    "color": "0.35",
    "linewidth": 0.6,
    "linestyle": (0, (1, 1.5)),
    "zorder": 1,
}
DOUBLINGS: dict[str, Any] = {"linewidth": 0.7, "alpha": 0.6}


def data(study: Study) -> pd.DataFrame:
    """Columns part, panel, run, label, imported, grid, step, step_next, D, D_low, D_high.

    Parts: ``D``, with the ends of its confidence interval, of the changes between neighbours of a
    panel's grid, from step 1 on; ``doublings``, those from t to 2t of the runs in panel a;
    ``tenfold``, the steps of panel a at which neighbours become ten times further apart; ``t_d``.
    """
    changes = study.curve("step_grids").assign(imported=False)
    changes = changes[changes["step"] > 0]
    suite = changes["run"].map({run.id: run.suite for run in study.runs})
    frames = []
    for panel, (of_suite, grid, _) in PANELS.items():
        kept = changes[(suite == of_suite) & (changes["grid"] == grid)].assign(panel=panel)
        frames += [kept.assign(part="D"), *([_tenfold(kept)] if panel == "a" else [])]
        shown = kept["run"].unique()
        if panel == "a":
            doubled = changes[changes["run"].isin(shown) & (changes["grid"] == "doublings")]
            frames.append(doubled.assign(part="doublings", panel=panel))
        frames.append(style.deceleration(study, shown).assign(panel=panel))
    table = pd.concat([frame for frame in frames if not frame.empty] or frames)
    if not (table["part"] == "D").any():
        raise ZslError(
            "step_grids: no run keeps the checkpoints of Fig. 15; set checkpoints.decades for a "
            "run of suite main and checkpoints.every for the adamw run of suite optimizer"
        )
    return table[COLUMNS].astype({"step_next": "Int64"}).reset_index(drop=True)


def _tenfold(changes: pd.DataFrame) -> pd.DataFrame:
    """The steps of a panel from which the next checkpoint is ten times further than before."""
    apart = changes["step_next"] - changes["step"]
    before = apart.groupby(changes["run"]).shift()
    found = changes.loc[apart == 10 * before, ["panel", "step"]].drop_duplicates()
    return found.assign(part="tenfold", grid="decades")


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """A panel for each grid, D at the start of each interval on a logarithmic axis."""
    figure = style.figure(style.DOUBLE, 2.4)
    panels = figure.subplots(1, len(PANELS), sharey=True)
    for axes, (panel, (_, _, title)) in zip(panels, PANELS.items(), strict=True):
        rows = data[data["panel"] == panel]
        span = style.draw_deceleration(axes, rows)
        _draw_panel(axes, rows, study)
        axes.set_title(title if panel != "c" else _even_title(rows))
    panels[0].set_ylim(0, 1)
    panels[0].set_ylabel(r"$D(\Delta\ell)$")
    doublings = Line2D([], [], color="0.35", label="from $t$ to $2t$", **DOUBLINGS)
    tenfold = Line2D([], [], label=r"$\Delta t$ grows tenfold", **TENFOLD)
    drawn = data["run"].dropna().unique()
    style.legend(figure, study, drawn, doublings, tenfold, *span, columns=7, marker="o")
    return figure


def _draw_panel(axes: Axes, rows: pd.DataFrame, study: Study) -> None:
    for step in rows.loc[rows["part"] == "tenfold", "step"]:
        axes.axvline(step, **TENFOLD)
    draw_by_step(axes, rows, study, "D", part="doublings", marker="", **DOUBLINGS)
    look: dict[str, Any] = {"markersize": 2.0, "clip_on": False}
    draw_by_step(axes, rows, study, "D", part="D", band=("D_low", "D_high"), **look)
    if not (rows["part"] == "D").any():
        axes.text(0.5, 0.5, "no run keeps\nthis grid", ha="center", transform=axes.transAxes)


def _even_title(rows: pd.DataFrame) -> str:
    """The title of panel c with its distance between checkpoints."""
    curve = rows[rows["part"] == "D"]
    apart = sorted(set(curve["step_next"] - curve["step"]))
    if not apart:
        return PANELS["c"][-1]
    k = int(apart[0])
    return rf"c) {k:,}, {2 * k:,}, …: $\Delta t = {k}$"
