"""Fig. 10: sharpness of the loss along the next update."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zsl.claims import Claim
from zsl.figures import style
from zsl.figures.by_step import around, by_step, draw_by_step
from zsl.study import Study


def _fall(study: Study, run: str, t_d: float) -> float:
    before, after = around(study.of_run("cross_section", run), t_d)
    return float(1 - after["sharpness"].mean() / before["sharpness"].max())


CLAIMS = (
    Claim(
        statement="sharpness decreases with deceleration",
        measure="the part of its largest value before t_d that mean sharpness at t >= t_d lost",
        bound=0.0,
        value=_fall,
    ),
)


def data(study: Study) -> pd.DataFrame:
    """Columns part, run, label, imported, step, sharpness, window; see ``by_step``.

    ``sharpness`` is the coefficient of the square in a quadratic fit of the mean loss over
    abs(alpha) <= ``window``, nats per squared norm of the parameters.
    """
    return by_step(study, study.curve("cross_section"), ["sharpness", "window"])


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw the sharpness on a logarithmic axis, linear around zero if a value is not above it."""
    figure = style.figure(style.SINGLE, 2.4)
    axes = figure.subplots()
    key = style.draw_deceleration(axes, data)
    drawn = draw_by_step(axes, data, study, "sharpness")
    _scale(axes, data["sharpness"].dropna())
    axes.set_ylabel(r"sharpness (nats / $\|\theta\|^2$)")
    style.legend(figure, study, drawn, *key, marker="o")
    return figure


def _scale(axes: Axes, values: pd.Series) -> None:
    """Make the y axis logarithmic; with values below zero, down to the smallest ones' decade."""
    if (values > 0).all():
        axes.set_yscale("log")
        style.log_ticks(axes.yaxis, values.min(), values.max())
        return
    sizes = values[values != 0].abs()
    smallest = 1.0 if sizes.empty else 10 ** np.floor(np.log10(sizes.quantile(0.1)))
    axes.set_yscale("symlog", linthresh=smallest)
    axes.axhline(0, color="0.4", linewidth=0.5, zorder=1)
