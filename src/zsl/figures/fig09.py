"""Fig. 9: how well the first-order changes of per-token losses predict those of one update."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from zsl.claims import Claim
from zsl.figures import style
from zsl.figures.by_step import around, by_step, draw_by_step
from zsl.study import Study

FLOORS = (0.9, 0.8, 0.5, 0.0, -1.0)
"""Where the axis begins: at the first of these that is below all values."""
VISIBLE = 0.01
"""Part of the axis by which two lines differ visibly."""


def _lowest_after(study: Study, run: str, t_d: float) -> float:
    _, after = around(study.of_run("cross_section", run), t_d)
    return float(after["r_jvp"].min())


CLAIMS = (
    Claim(
        statement="after deceleration, first-order changes predict the changes of token losses",
        measure="the lowest Pearson r at t >= t_d",
        bound=0.9,
        value=_lowest_after,
    ),
)


def data(study: Study) -> pd.DataFrame:
    """Columns part, run, label, imported, step, update_norm, r_jvp, r_fd; see ``by_step``.

    Pearson's r over tokens between the change of loss and the first-order one: exact, and by
    the paper's forward difference.
    """
    return by_step(study, study.curve("cross_section"), ["update_norm", "r_jvp", "r_fd"])


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw r on a linear axis; the forward difference's where it visibly differs."""
    figure = style.figure(style.SINGLE, 2.4)
    axes = figure.subplots()
    key = style.draw_deceleration(axes, data)
    drawn = draw_by_step(axes, data, study, "r_jvp", clip_on=False)
    lowest = data[["r_jvp", "r_fd"]].min().min()
    low = next((floor for floor in FLOORS if floor < lowest), FLOORS[-1])
    axes.set_ylim(low, 1)
    if ((data["r_fd"] - data["r_jvp"]).abs() > VISIBLE * (1 - low)).any():
        draw_by_step(axes, data, study, "r_fd", **style.DOTTED)
        key.append(Line2D([], [], color="0.35", label="forward difference", **style.DOTTED))
    axes.set_ylabel(r"Pearson $r(\Delta\ell, \tilde{\Delta}\ell)$")
    style.legend(figure, study, drawn, *key, columns=3, marker="o")
    return figure
