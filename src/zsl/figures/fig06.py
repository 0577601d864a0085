"""Fig. 6: how the direction of an update changes what opposed gradients do to losses, a sketch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from zsl.figures import style
from zsl.measurements.interference import interference
from zsl.study import Study

OPPOSED = ((0.9, 0.75), (0.7, -0.65))
ALIGNED = ((1.0, 0.1), (0.1, 1.0))
PANELS = {
    "a) mitigated": (OPPOSED, (-0.6, 0.0)),
    "b) exacerbated": (OPPOSED, (0.0, -0.6)),
    "c) induced": (ALIGNED, (0.3, -0.3)),
}
"""Gradients of two tokens in the plane of two weights, and an update, by panel."""
REACH = 1.1
"""How far the axes reach."""
COLOURS = {"interference": "0.65", "update": "0.1"}


def data(study: Study) -> pd.DataFrame:
    """Columns panel, part, token, x, y, value: what is drawn, whatever the study.

    Parts: ``gradient`` of a token, with its first-order change of loss as ``value``;
    ``projection``, its foot on the line of the update; ``update``, with D of those changes
    (Eq. 8) as ``value``; ``interference``, D of the gradients in each coordinate (Eq. 4).
    """
    rows: list[dict[str, Any]] = []
    for panel, (gradients, update) in PANELS.items():
        g, u = np.array(gradients), np.array(update)
        changes = g @ u
        D = [interference(coordinate).D for coordinate in g.T]
        points: list[tuple[Any, ...]] = [
            *(("gradient", i, g[i], changes[i]) for i in range(len(g))),
            *(("projection", i, changes[i] / (u @ u) * u, None) for i in range(len(g))),
            ("update", None, u, interference(changes).D),
            ("interference", None, D, None),
        ]
        rows += [
            {"panel": panel, "part": part, "token": token, "x": x, "y": y, "value": value}
            for part, token, (x, y), value in points
        ]
    return pd.DataFrame(rows).astype({"token": "Int64", "value": float})


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """One panel for each case, with its D below."""
    figure = style.figure(style.DOUBLE, 2.5)
    panels = figure.subplots(1, data["panel"].nunique(), sharex=True, sharey=True)
    for axes, (panel, rows) in zip(panels, data.groupby("panel"), strict=True):
        _draw_panel(axes, rows)
        axes.set_title(panel)
    figure.legend(handles=_key(), loc="outside upper center", ncols=5)
    return figure


def _draw_panel(axes: Axes, rows: pd.DataFrame) -> None:
    """Arrows from the origin, the line of the update with the feet on it, and both D."""
    parts: dict[str, list[Any]] = {
        str(part): list(table.itertuples()) for part, table in rows.groupby("part")
    }
    (update,), (opposition,) = parts["update"], parts["interference"]
    longest = REACH / max(abs(update.x), abs(update.y))
    for x, y, grey in (
        (REACH, 0, "0.9"),
        (0, REACH, "0.9"),
        (longest * update.x, longest * update.y, "0.6"),
    ):
        axes.plot([-x, x], [-y, y], color=grey, linewidth=0.6, zorder=0)
    for x, y, name in ((REACH, -0.1, r"$\theta_1$"), (-0.1, REACH, r"$\theta_2$")):
        axes.text(x, y, name, ha="right", va="top", fontsize=6, color="0.5")
    for part, colour in COLOURS.items():
        _arrow(axes, parts[part][0], colour=colour, width=3.0 if part == "interference" else 1.2)
    for gradient, foot in zip(parts["gradient"], parts["projection"], strict=True):
        colour = style.IMPROVES if gradient.value < 0 else style.DEGRADES
        _arrow(axes, gradient, colour=colour, width=1.2)
        dotted: dict[str, Any] = {"linewidth": 0.7, "linestyle": (0, (1, 1))}
        axes.plot([gradient.x, foot.x], [gradient.y, foot.y], color=colour, **dotted)
        axes.plot(foot.x, foot.y, "x", color=colour, markersize=4.5, zorder=4)
    axes.text(
        0,
        -1.2,
        rf"$D(\nabla\ell) = ({opposition.x:.2f},\ {opposition.y:.2f})$"
        "\n"
        rf"$D(\tilde{{\Delta}}\ell) = {update.value:.2f}$",
        ha="center",
        va="top",
    )
    axes.set(xticks=[], yticks=[], xlim=(-REACH, REACH), ylim=(-1.7, REACH), aspect="equal")
    axes.spines[["left", "bottom"]].set_visible(False)


def _arrow(axes: Axes, point: Any, colour: str, width: float) -> None:
    """An arrow from the origin to a point, in the manner of a vector."""
    if point.x == point.y == 0:
        return
    arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": width, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (point.x, point.y), (0, 0), arrowprops=arrow)


def _key() -> list[Line2D]:
    """Legend of the arrows and marks."""
    cross: dict[str, Any] = {"marker": "x", "linestyle": "none", "markersize": 4.5}
    return [
        Line2D([], [], color=style.IMPROVES, label=r"$\nabla\ell_i$, improves"),
        Line2D([], [], color=style.DEGRADES, label=r"$\nabla\ell_i$, degrades"),
        Line2D([], [], color="0.35", label=r"projection, $\tilde{\Delta}\ell_i$", **cross),
        Line2D([], [], color=COLOURS["update"], label=r"update $\Delta\theta$"),
        Line2D([], [], color=COLOURS["interference"], linewidth=3, label=r"$D(\nabla\ell)$"),
    ]
