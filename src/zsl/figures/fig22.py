"""Fig. 22: deceleration by model size, and the scaling law that is grounded in it (Eq. 31)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from zsl.errors import ZslError
from zsl.figures import style
from zsl.fits.common import common_step, fitted_part, refit
from zsl.fits.scaling import Law, fit_law, left_out
from zsl.fits.verdict import doubts
from zsl.fits.words import in_words
from zsl.study import Study

MEASURES = {
    "L_d": "$L_d$ (nats)",
    "t_d": "$t_d$ (steps)",
    "r_d": "$r_d$",
}
COMMON: dict[str, Any] = {"marker": "o", "linestyle": "none"}
OWN = {**COMMON, "markerfacecolor": "white"}
DOUBTFUL = {**OWN, "marker": "s"}
CROSS = {**COMMON, "marker": "x"}
POINTS = 60
"""Sizes at which the lines of the law are drawn."""


def data(study: Study) -> pd.DataFrame:
    """Columns part, run, label, imported, N, T, L_d, t_d, r_d, L_T, doubts, L_law, L_left_out, ...

    Parts: ``common`` (fits to the steps that all curves have, which the law is fitted to: with
    the measured loss L_T at T, that of the law L_law, and L_left_out, by the law of the other
    sizes; nats), ``own`` (fits to a whole curve that ends elsewhere), ``law`` (its lines) and
    ``parameters`` (of a line: ``measure``, intercept, slope and their standard errors). A fit
    with ``doubts`` is left out of the law.
    """
    info = {run.id: run for run in study.runs if run.n_parameters is not None}
    curves = {str(run): rows for run, rows in study.curve("train_loss").groupby("run", sort=False)}
    fits = [fit for fit in study.fits() if fit["run"] in info and fit["run"] in curves]
    if not fits:
        raise ZslError(
            f"{study.experiment}: no run with a fit has a known number of parameters; set "
            "parameters of its imported runs"
        )
    T = common_step(curves[fit["run"]] for fit in fits)
    common = pd.DataFrame([_at_common(curves[fit["run"]], fit, T) for fit in fits])
    own = pd.DataFrame([_as_is(fit) for fit in fits if fit["T"] != T])
    points = pd.concat([common, own], ignore_index=True)
    for name, field in (("label", "label"), ("imported", "imported"), ("N", "n_parameters")):
        points[name] = [getattr(info[run], field) for run in points["run"]]
    at = (points["part"] == "common") & (points["doubts"] == "")
    N, L_d, t_d, r_d = (points.loc[at, name].to_numpy(float) for name in ("N", *MEASURES))
    points["L_law"] = points["L_left_out"] = np.nan
    law = fit_law(N, L_d, t_d, r_d)
    if law is None:
        return points
    ends = np.full(len(N), float(T))
    points.loc[at, "L_law"] = law.loss(N, ends)
    points.loc[at, "L_left_out"] = left_out(N, L_d, t_d, r_d, ends)
    return pd.concat([points, _lines(law, N), _parameters(law)], ignore_index=True)


def _at_common(curve: pd.DataFrame, fit: dict[str, Any], T: int) -> dict[str, Any]:
    steps, losses = fitted_part(curve, T=T, cut=fit["cut"])
    made = refit(curve, T=T, cut=fit["cut"])
    said = doubts(made, steps, losses) | fit["doubts"]
    measures = {name: getattr(made, name) for name in MEASURES}
    common = {"part": "common", "run": fit["run"], "T": T, **measures, "L_T": float(losses[-1])}
    return {**common, "doubts": in_words(said)}


def _as_is(fit: dict[str, Any]) -> dict[str, Any]:
    as_is = {name: fit[name] for name in ("run", "T", *MEASURES, "L_T")}
    return {"part": "own", **as_is, "doubts": in_words(fit["doubts"])}


def _lines(law: Law, N: np.ndarray) -> pd.DataFrame:
    sizes = np.geomspace(N.min(), N.max(), POINTS)
    return pd.DataFrame({"part": "law", "N": sizes, **law.measures(sizes)})


def _parameters(law: Law) -> pd.DataFrame:
    rows = [
        {"part": "parameters", "measure": name, **vars(getattr(law, name))} for name in MEASURES
    ]
    return pd.DataFrame(rows)


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw a panel for each measure by N, and the law's losses by the measured ones."""
    data = data.fillna({"doubts": ""})  # as a CSV has it that is read again
    figure = style.figure(style.DOUBLE, 1.95)
    panels = figure.subplots(1, 4)
    colour = style.colours(study)
    for axes, (name, label) in zip(panels, MEASURES.items(), strict=False):
        _measure(axes, data, name, colour)
        axes.set_title(label)
        style.log_steps(axes, "parameters $N$")
    _losses(panels[3], data, colour)
    drawn = data.loc[data["part"] == "common", "run"]
    entries = style.run_legend(study, drawn, marker="o", linestyle="none")
    key = [*_key(data), *style.imported_legend(study, drawn)]
    figure.legend(handles=[*entries, *key], loc="outside upper center", ncols=6)
    return figure


def _measure(axes: Axes, data: pd.DataFrame, name: str, colour: dict[str, str]) -> None:
    law = data[data["part"] == "law"]
    axes.plot(law["N"], law[name], color="0.3", linewidth=0.8, zorder=1)
    for _, row in data[data["part"].isin(["common", "own"])].iterrows():
        look = DOUBTFUL if row["doubts"] else OWN if row["part"] == "own" else COMMON
        axes.plot(row["N"], row[name], color=colour[row["run"]], **look)
    shown = data[data["part"].isin(["common", "own", "law"])]
    axes.set_xlim(shown["N"].min() / 1.6, shown["N"].max() * 1.6)
    sound = shown[shown["doubts"] == ""]
    values = (sound if len(sound) else shown)[name]
    values = values[values > 0]
    if name == "t_d" and len(values):
        axes.set_ylim(0, 1.15 * values.max())
    elif len(values):
        low, high = values.min() / 1.05, values.max() * 1.05
        axes.set(yscale="log", ylim=(low, high))
        _few_numbers(axes, low, high)


def _few_numbers(axes: Axes, low: float, high: float) -> None:
    """Ticks of a logarithmic y axis that spans less than a factor of ten, evenly by value."""
    ticks = [tick for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _losses(axes: Axes, data: pd.DataFrame, colour: dict[str, str]) -> None:
    points = data[(data["part"] == "common") & (data["doubts"] == "")]
    if points.empty:
        points = data[data["part"] == "common"]
    values = points[["L_T", "L_law", "L_left_out"]].to_numpy(float)
    ends = [np.nanmin(values) * 0.98, np.nanmax(values) * 1.02]
    axes.plot(ends, ends, color="0.6", linewidth=0.6, zorder=1)
    for _, row in points.iterrows():
        axes.plot(row["L_T"], row["L_law"], "o", color=colour[row["run"]])
        axes.plot(row["L_T"], row["L_left_out"], "x", color=colour[row["run"]])
    axes.set_title("$L_T$ by the law (nats)")
    axes.set_xlabel("measured $L_T$ (nats)")


def _key(data: pd.DataFrame) -> list[Line2D]:
    """Legend of the marks that are drawn."""
    marks = []
    points = data[data["part"].isin(["common", "own"])]
    if ((points["part"] == "own") & (points["doubts"] == "")).any():
        marks.append(Line2D([], [], color="0.3", label="at its own $T$", **OWN))
    if (points["doubts"] != "").any():
        marks.append(Line2D([], [], color="0.3", label="doubtful, not in the law", **DOUBTFUL))
    if (data["part"] == "law").any():
        marks.append(Line2D([], [], color="0.3", linewidth=0.8, label="law"))
        marks.append(Line2D([], [], color="0.3", label="size left out", **CROSS))
    return marks
