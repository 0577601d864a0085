"""Fig. 11: the first-order change of loss, and the terms that it is the product of (Eq. 11)."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from zsl.figures import style
from zsl.figures.by_step import by_step, draw_by_step
from zsl.study import Study

PANELS = {
    "first_order": r"$-\tilde{\Delta}L$ (nats)",
    "update_norm": r"$\|\Delta\theta\|$",
    "grad_norm": r"$\|\nabla_\theta L\|$ (nats / $\|\theta\|$)",
    "cos": r"$-\cos(\Delta\theta, \nabla_\theta L)$",
}
NEGATIVE = ("first_order", "cos")
"""Columns that are below zero when an update improves the loss: drawn with their sign changed."""
WRONG: dict[str, Any] = {"marker": "o", "markerfacecolor": "white", "linestyle": "none"}
WRONG_LABEL = "loss degrades"


def data(study: Study) -> pd.DataFrame:
    """Columns part, run, label, imported, step, batches, and the signed terms of Eq. 11.

    Means over the batches of ``first_order`` (nats), their product; ``update_norm``;
    ``grad_norm`` and ``cos``, with the gradient on evaluation or training tokens as the option
    ``fig11_gradient`` says. Parts: see ``by_step``.
    """
    tokens = study.options.get("fig11_gradient", "eval")
    table = study.curve("single_step").rename(
        columns={f"grad_norm_{tokens}": "grad_norm", f"cos_{tokens}": "cos"}
    )
    table["first_order"] = table["update_norm"] * table["grad_norm"] * table["cos"]
    batches = table.groupby(["run", "label", "step"], sort=False)
    means = batches[list(PANELS)].mean().assign(batches=batches.size())
    return by_step(study, means.reset_index(), ["batches", *PANELS]).astype({"batches": "Int64"})


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw the terms on logarithmic axes with powers of ten of one length.

    A value of the wrong sign is an open circle at its size, without a line.
    """
    figure = style.figure(style.DOUBLE, 2.3)
    panels = figure.subplots(1, len(PANELS), sharex=True)
    sizes = data.copy()
    sizes[list(NEGATIVE)] *= -1
    key: list[Line2D] = []
    for axes, (column, title) in zip(panels, PANELS.items(), strict=True):
        span = style.draw_deceleration(axes, data)
        right = sizes.assign(**{column: sizes[column].where(sizes[column] > 0)})
        drawn = draw_by_step(axes, right, study, column)
        key = _draw_wrong(axes, sizes[sizes[column] < 0], study, column) or key
        style.log_steps(axes, numbers=4)
        axes.set_title(title)
        axes.grid(axis="y", color="0.9", linewidth=0.5)
    style.same_decades(panels, [sizes[column].abs() for column in PANELS])
    style.legend(figure, study, drawn, *span, *key, columns=8, marker="o")
    return figure


def _draw_wrong(axes: Axes, wrong: pd.DataFrame, study: Study, column: str) -> list[Line2D]:
    """Mark values below zero at their size; return the legend's entry if there are any."""
    for run, rows in wrong.groupby("run", sort=False):
        colour = style.colours(study)[str(run)]
        axes.plot(rows["step"], -rows[column], color=colour, zorder=3, **WRONG)
    return [] if wrong.empty else [Line2D([], [], color="0.35", label=WRONG_LABEL, **WRONG)]
