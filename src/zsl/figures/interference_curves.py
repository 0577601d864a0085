"""Destructive interference in the changes of losses from step t to 2t: Figs 3, 25, 27."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from zsl.figures import style
from zsl.figures.by_step import draw_by_step
from zsl.figures.doublings import doublings
from zsl.study import Study


def data(study: Study) -> pd.DataFrame:
    """Columns part, run, label, imported, step, step_next, D, D_low, D_high.

    Parts: ``D``, with the ends of its confidence interval, and ``t_d``.
    """
    changes = doublings(study).assign(part="D")
    columns = ["part", "run", "label", "imported", "step", "step_next", "D", "D_low", "D_high"]
    return pd.concat(
        [changes[columns], style.deceleration(study, changes["run"])], ignore_index=True
    ).astype({"step_next": "Int64"})


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw D at the start t of each interval, on a logarithmic axis, each run in its colour."""
    drawn = data.loc[data["part"] == "D", "run"].unique()
    entries = style.run_legend(study, drawn, marker="o") + style.imported_legend(study, drawn)
    return draw_as(data, study, entries)


def draw_as(
    data: pd.DataFrame,
    study: Study,
    entries: Sequence[Artist],
    columns: int = 4,
    looks: Mapping[str, dict[str, Any]] | None = None,
) -> Figure:
    """Draw ``data`` with ``entries`` as its legend in columns; for ``looks`` see draw_by_step."""
    figure = style.figure(style.SINGLE, 2.4)
    axes = figure.subplots()
    span = style.draw_deceleration(axes, data)
    look: dict[str, Any] = {"part": "D", "band": ("D_low", "D_high"), "clip_on": False}
    draw_by_step(axes, data, study, "D", looks=looks, **look)
    axes.set_ylim(0, 1)
    axes.set_ylabel(r"$D(\Delta_t^{2t}\,\ell)$")
    figure.legend(handles=[*entries, *span], loc="outside upper center", ncols=columns)
    return figure
