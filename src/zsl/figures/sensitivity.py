"""How L_d, t_d and r_d move with the end of the curve, the cut and the smoothing."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator

from zsl.figures import style
from zsl.study import Study

PARAMETERS = {"T": "end of the curve $T$ (steps)", "cut": "cut (steps)", "k": "smoothing $k$"}
MEASURES = {"L_d": "$L_d$ (nats)", "t_d": "$t_d$ (steps)", "r_d": "$r_d$"}


def data(study: Study) -> pd.DataFrame:
    """Columns run, label, imported, parameter, value, L_d, t_d, r_d, RSLE, break_inside, used.

    ``used``: the value that the tables use.
    """
    table = study.curve("sensitivity")
    table["imported"] = table["run"].map({run.id: run.imported for run in study.runs})
    own = {(fit["run"], name): fit[name] for fit in study.fits() for name in PARAMETERS}
    keys = zip(table["run"], table["parameter"], table["value"], strict=True)
    table["used"] = [own.get((run, parameter)) == value for run, parameter, value in keys]
    return table


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw a line per run, a row of panels per measure, a column per choice.

    There is no column for k where no run has single losses.
    """
    figure = style.figure(style.DOUBLE, 5.0)
    shown = {name: label for name, label in PARAMETERS.items() if name in set(data["parameter"])}
    grid = figure.subplots(len(MEASURES), len(shown), sharex="col", sharey="row", squeeze=False)
    colour = style.colours(study)
    for line, (measure, label) in zip(grid, MEASURES.items(), strict=True):
        for axes, parameter in zip(line, shown, strict=True):
            for run, rows in data[data["parameter"] == parameter].groupby("run", sort=False):
                _line(axes, rows, measure, colour[str(run)])
        _limits(line[0], data, measure)
        line[0].set_ylabel(label)
    for axes, (parameter, label) in zip(grid[-1], shown.items(), strict=True):
        axes.set_xlabel(label)
        if parameter != "k":
            style.log_steps(axes, label)
        if parameter == "T":
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    drawn = data["run"].unique()
    entries = style.run_legend(study, drawn) + _key(data) + style.imported_legend(study, drawn)
    figure.legend(handles=entries, loc="outside upper center", ncols=5)
    return figure


def _line(axes: Axes, rows: pd.DataFrame, measure: str, colour: str) -> None:
    inside = rows["break_inside"].astype(bool)
    axes.plot(rows["value"], rows[measure].where(inside), color=colour, linewidth=0.9)
    outside = rows[~inside]
    axes.plot(outside["value"], outside[measure], "x", color=colour, markersize=2.5)
    used = rows[rows["used"] & inside]
    axes.plot(used["value"], used[measure], "o", color=colour, markersize=3.5)


def _limits(axes: Axes, data: pd.DataFrame, measure: str) -> None:
    """Limits of a row: fits without a break can be anywhere, and those at the edge nearly so."""
    values = data.loc[data["break_inside"].astype(bool), measure]
    if values.empty:
        return
    low, high = values.quantile([0.02, 0.98])
    margin = 0.1 * (high - low) or 0.1 * abs(high) or 1.0
    axes.set_ylim(low - margin, high + margin)


def _key(data: pd.DataFrame) -> list[Line2D]:
    """Legend of the marks that are drawn."""
    key = [Line2D([], [], color="0.3", marker="o", linestyle="none", label="as in the tables")]
    if not data["break_inside"].all():
        key.append(Line2D([], [], color="0.3", marker="x", linestyle="none", label="no break"))
    return key
