"""Loss curves, their one-break BNSL fits and its two power laws: Figs 2, 23, 26, 29."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from zsl.errors import ZslError
from zsl.figures import style
from zsl.figures.by_step import draw_by_step
from zsl.study import Study

DASHED: dict[str, Any] = {"color": "0.1", "linewidth": 0.5, "linestyle": (0, (4, 3)), "zorder": 4}
LOOK: dict[str, dict[str, Any]] = {
    "fit": {"linewidth": 2.2, "alpha": 0.5, "solid_capstyle": "round"},
    "smoothed": {"linewidth": 0.8},
    "segment_1": DASHED,
    "segment_2": DASHED,
}
"""How each part of the data is drawn, from back to front."""
ON_WHITE: dict[str, Any] = {
    "frameon": True, "framealpha": 1, "edgecolor": "none", "borderaxespad": 0
}  # fmt: skip
"""The legend of the grey span lies on white, up to the corner, where the span is behind it."""
COLUMNS = ["part", "run", "label", "imported", "step", "loss"]


def bnsl(parameters: dict[str, float], steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Loss (nats) of the one-break BNSL with a = 0 (Eq. 1), by its logarithm."""
    x = np.log(steps)
    b, c_0, c_1 = parameters["b"], parameters["c_0"], parameters["c_1"]
    log_d_1, f_1 = parameters["log_d_1"], parameters["f_1"]
    return np.exp(np.log(b) - c_0 * x - c_1 * f_1 * np.logaddexp(0, (x - log_d_1) / f_1))


def data(study: Study) -> pd.DataFrame:
    """Columns part, run, label, imported, step, loss (nats).

    Parts: ``smoothed`` (the curve), ``fit`` (Eq. 1 at the fitted steps), ``segment_1`` and
    ``segment_2`` (end points of the power laws before and after t_d), ``t_d`` (the break, at
    its loss L_d). Of a doubtful fit the curve alone.
    """
    smoothed = study.curve("train_loss").rename(columns={"smoothed_train_loss": "loss"})
    smoothed["part"] = "smoothed"
    smoothed["imported"] = smoothed["run"].map({run.id: run.imported for run in study.runs})
    smoothed = smoothed.loc[smoothed["loss"].notna(), COLUMNS]
    if smoothed.empty:
        raise ZslError("no run has a smoothed train loss; check curves/train_loss/")
    fitted = [
        _fit_parts(fit, smoothed[smoothed["run"] == fit["run"]])
        for fit in study.fits()
        if fit["run"] in set(smoothed["run"])
    ]
    return pd.concat([smoothed, *fitted], ignore_index=True)


def _fit_parts(fit: dict[str, Any], curve: pd.DataFrame) -> pd.DataFrame:
    """What is drawn of a fit: the rows of ``data`` that are not the curve itself."""
    inside = (curve["step"] > fit["cut"]) & (curve["step"] <= fit["T"])
    steps = curve.loc[inside, "step"].to_numpy(float)
    t_d, L_d, r_d, c_0 = fit["t_d"], fit["L_d"], fit["r_d"], fit["parameters"]["c_0"]
    first, last = min(steps[0], t_d), max(steps[-1], t_d)
    parts = {
        "fit": (steps, bnsl(fit["parameters"], steps)),
        "segment_1": ([first, t_d], [L_d * (t_d / first) ** c_0, L_d]),
        "segment_2": ([t_d, last], [L_d, L_d * (t_d / last) ** r_d]),
        "t_d": ([t_d], [L_d]),
    }
    frames = [
        pd.DataFrame({"part": part, "step": x, "loss": y})
        for part, (x, y) in parts.items()
        if part == "fit" or not fit["doubts"]
    ]
    table = pd.concat(frames, ignore_index=True)
    for name in ("run", "label", "imported"):
        table[name] = curve[name].iloc[0]
    return table[COLUMNS]


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw ``data`` on two logarithmic axes, each run in its colour."""
    entries = style.run_legend(study, data["run"].unique(), linewidth=1.7)
    return draw_as(data, study, entries)


def draw_as(
    data: pd.DataFrame,
    study: Study,
    entries: Sequence[Artist],
    columns: int = 2,
    looks: Mapping[str, dict[str, Any]] | None = None,
) -> Figure:
    """Draw ``data`` with ``entries`` as its legend in columns; for ``looks`` see draw_by_step."""
    figure = style.figure(style.SINGLE, 2.7)
    axes = figure.subplots()
    span = style.draw_deceleration(axes, data)
    for part, look in LOOK.items():
        draw_by_step(axes, data, study, "loss", part=part, looks=looks, marker="", **look)
    axes.set_yscale("log")
    style.log_plain(axes.yaxis, data["loss"].min(), data["loss"].max())
    axes.set_ylabel("train loss $L$ (nats)")
    axes.add_artist(axes.legend(handles=entries, loc="lower left", ncols=columns))
    axes.legend(handles=_key(study, data) + span, loc="upper right", **ON_WHITE)
    return figure


def _key(study: Study, data: pd.DataFrame) -> list[Line2D]:
    """Legend of the kinds of lines that are drawn."""
    grey: dict[str, Any] = {"color": "0.35"}
    lines = {
        "smoothed": Line2D([], [], label="smoothed loss", **grey, **LOOK["smoothed"]),
        "fit": Line2D([], [], label="BNSL fit", **grey, **LOOK["fit"]),
        "segment_1": Line2D([], [], label="its power laws", **DASHED),
    }
    drawn = [line for part, line in lines.items() if (data["part"] == part).any()]
    return drawn + style.imported_legend(study, data["run"].unique())
