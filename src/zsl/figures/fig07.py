"""Fig. 7: what gradient opposition and the update each contribute to interference (Eq. 9)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from zsl.claims import Claim
from zsl.figures import style
from zsl.figures.by_step import around, by_step, draw_by_step
from zsl.study import Study

PANELS = {"C_g": r"$C_g$", "ratio": r"$C(u,G)\,/\,C(u,g)$"}
COLUMNS = ["C_g", "C_uG", "C_ug", "ratio", "C_g_se", "ratio_se", "C_g_floor"]


def _fall_of_C_g(study: Study, run: str, t_d: float) -> float:
    before, after = around(study.of_run("token_gradients", run), t_d)
    return float(1 - after["C_g"].mean() / before["C_g"].max())


def _share_of_C_g(study: Study, run: str, t_d: float) -> float:
    before, after = around(study.of_run("token_gradients", run), t_d)
    if before.empty:
        return float("nan")
    logs = [np.log([part["C_g"], part["C_uG"] / part["C_ug"]]) for part in (before, after)]
    lowest_D = logs[0].sum(axis=0).argmax()
    falls = logs[0][:, lowest_D] - logs[1].mean(axis=1)
    return float(falls[0] / falls.sum()) if falls.sum() > 0 else float("nan")


CLAIMS = (
    Claim(
        statement="C_g falls towards 0 with deceleration",
        measure="the part of its largest value before t_d that the mean of C_g at t >= t_d lost",
        bound=0.5,
        value=_fall_of_C_g,
    ),
    Claim(
        statement="it is C_g, more than alignment, that makes first-order changes interfere",
        measure=(
            "the share of C_g in the fall of log(1 - D) (Eq. 9), from where D is lowest before "
            "t_d to the mean over t >= t_d,"
        ),
        bound=0.5,
        value=_share_of_C_g,
    ),
)


def data(study: Study) -> pd.DataFrame:
    """Columns part, run, label, imported, step, C_g, C_uG, C_ug, ratio, C_g_se, ratio_se,
    C_g_floor.

    ``ratio`` is C_uG / C_ug. Its standard error comes from that of C_ug, as C_uG is exact;
    standard errors are missing where all tokens were measured. Parts: see ``by_step``.
    """
    table = study.curve("token_gradients")
    table["ratio"] = table["C_uG"] / table["C_ug"]
    table["ratio_se"] = table["ratio"] * table["C_ug_se"] / table["C_ug"]
    return by_step(study, table, COLUMNS)


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw both factors of 1 - D on logarithmic axes with powers of ten of one length."""
    figure = style.figure(style.SINGLE, 2.1)
    panels = figure.subplots(1, 2)
    for axes, (column, label) in zip(panels, PANELS.items(), strict=True):
        key = style.draw_deceleration(axes, data)
        drawn = draw_by_step(axes, data, study, column, markersize=2)
        _draw_errors(axes, data, study, column)
        axes.set_title(label)
    draw_by_step(panels[0], data, study, "C_g_floor", **style.DOTTED)
    key.append(Line2D([], [], color="0.35", label="random signs", **style.DOTTED))
    for axes in panels:
        style.log_steps(axes, numbers=4)
    style.same_decades(panels, [pd.concat([data["C_g"], data["C_g_floor"]]), data["ratio"]])
    style.legend(figure, study, drawn, *key, columns=3, marker="o", markersize=2)
    return figure


def _draw_errors(axes: Axes, data: pd.DataFrame, study: Study, column: str) -> None:
    """Bars of one standard error to either side, for the values that are estimated."""
    estimated = data[data[f"{column}_se"].notna()]
    for run, rows in estimated.groupby("run", sort=False):
        y, error = rows[column].to_numpy(), rows[f"{column}_se"].to_numpy()
        down = np.minimum(error, y * 0.999)  # a logarithmic axis has no zero
        axes.errorbar(
            rows["step"], y, (down, error), fmt="none", ecolor=style.colours(study)[str(run)],
            elinewidth=0.7, capsize=1.2, capthick=0.7,
        )  # fmt: skip
