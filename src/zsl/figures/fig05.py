"""Fig. 5: training trajectories in D and M, over lines of equal |ΔL| = M(1 - D) (Eq. 6)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from zsl.figures import style
from zsl.figures.doublings import doublings
from zsl.study import Study

ENDS = ["D_low", "D_high", "M_low", "M_high"]
"""Ends of the confidence intervals, over evaluation sequences."""
COLUMNS = ["part", "run", "label", "imported", "step", "step_next", "D", "M", "abs_dL", "dotted"]
COLUMNS += ENDS
THIN: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.6}
DOTTED: dict[str, Any] = {"linewidth": 1.3, "linestyle": (0, (1, 1))}
THICK: dict[str, Any] = {"linewidth": 1.3}
BARS: dict[str, Any] = {"linewidth": 0.5, "alpha": 0.6, "zorder": 2}
LEVELS = (1.0, 3.0)
"""Lines of equal |ΔL| are drawn at these multiples of powers of ten."""


def data(study: Study) -> pd.DataFrame:
    """Columns part, run, label, imported, step, step_next, D, M, abs_dL (nats), dotted, ENDS.

    Parts: ``trajectory``, a point for each change from step t to 2t with the ends of its
    confidence intervals, ``dotted`` where the line to the next point is: from the last change
    before deceleration to the one that holds t_d; ``contour``, points of equal ``abs_dL``;
    ``t_d``, the steps from which ``dotted`` follows.
    """
    changes = doublings(study).assign(part="trajectory")
    breaks = style.deceleration(study, changes["run"])
    t_d = changes["run"].map(dict(zip(breaks["run"], breaks["step"], strict=True)))
    changes["dotted"] = (changes["step_next"] <= t_d) & (t_d < 2 * changes["step_next"])
    changes = changes[changes[["D", "M"]].notna().all(axis=1)]
    table = pd.concat([changes[COLUMNS], contours(changes), breaks], ignore_index=True)
    return table.astype({"step_next": "Int64", "dotted": "boolean"})[COLUMNS]


def contours(changes: pd.DataFrame) -> pd.DataFrame:
    """Lines of equal |ΔL| through the range of the changes: part, D, M, abs_dL."""
    positive = changes.loc[changes["abs_dL"] > 0, "abs_dL"]
    exponents = range(math.floor(math.log10(positive.min())) - 1, 3)
    levels = [f * 10.0**e for e in exponents for f in LEVELS]
    low, high = axis_limits(changes["M"])
    frames = []
    for level in levels:
        if positive.min() / 3 <= level < high:
            M = np.geomspace(max(low, level), high, 100)
            frames.append(pd.DataFrame({"D": 1 - level / M, "M": M, "abs_dL": level}))
    return pd.concat(frames, ignore_index=True).assign(part="contour")


def axis_limits(magnitudes: pd.Series) -> tuple[float, float]:
    """Where the axis of M begins and ends."""
    return magnitudes.min() / 1.2, magnitudes.max() * 1.2


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw D to the right and M upwards, on a logarithmic axis."""
    figure = style.figure(style.SINGLE, 2.7)
    axes = figure.subplots()
    axes.set_yscale("log")
    points = data[data["part"] == "trajectory"]
    low, high = axis_limits(points["M"])
    axes.set(xlim=(0, 1), ylim=(low, high))
    _draw_contours(axes, data[data["part"] == "contour"])
    for run, rows in points.groupby("run", sort=False):
        _draw_trajectory(axes, rows, style.colours(study)[str(run)])
    _draw_steps(axes, points[points["run"] == points["run"].iloc[-1]])
    style.log_plain(axes.yaxis, low, high)
    axes.set_xlabel(r"destructive interference $D(\Delta\ell)$")
    axes.set_ylabel(r"mean magnitude $M(\Delta\ell)$ (nats)")
    style.legend(figure, study, points["run"].unique(), *_key())
    return figure


def _draw_trajectory(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    """One run: thin before deceleration, dotted into it, thick after it."""
    D, M, dotted = (rows[name].to_numpy() for name in ("D", "M", "dotted"))
    style.draw_past(axes, D, M, dotted, colour, looks=(THIN, DOTTED, THICK))
    axes.plot(D, M, ".", color=colour, markersize=2.4, zorder=3)
    low_D, high_D, low_M, high_M = (rows[name].to_numpy() for name in ENDS)
    axes.hlines(M, low_D, high_D, color=colour, **BARS)
    axes.vlines(D, low_M, high_M, color=colour, **BARS)
    axes.plot(D[:1], M[:1], "o", color=colour, markerfacecolor="white", zorder=4)
    axes.plot(D[-1:], M[-1:], "^", color=colour, markersize=4, zorder=4, clip_on=False)


def _draw_contours(axes: Axes, lines: pd.DataFrame) -> None:
    """Thin lines, each with its |ΔL| where it enters the axes, if there is room."""
    low, high = axes.get_ylim()
    taken: list[float] = []
    for level, line in reversed(list(lines.groupby("abs_dL"))):
        axes.plot(line["D"], line["M"], color="0.75", linewidth=0.5, zorder=1)
        inside = line[(line["M"] > low * 1.04) & (line["M"] < high / 1.2)]
        if inside.empty:
            continue
        D, M = inside[["D", "M"]].iloc[0]
        if D == 0 or (D < 0.93 and all(abs(D - other) > 0.1 for other in taken)):
            axes.text(D, M, f" {level:g}", fontsize=5.5, color="0.45", va="bottom")
            taken.append(D)


def _draw_steps(axes: Axes, rows: pd.DataFrame) -> None:
    """Write t above the ends of the dotted line of a run, away from its middle."""
    start = rows["dotted"].to_numpy(bool)
    for end, ha in ((start, "right"), (np.roll(start, 1), "left")):
        for point in rows[end].itertuples():
            axes.annotate(
                f"$t$ = {point.step:.0f}",
                xy=(point.D, point.M),
                xytext=(0, 4),
                textcoords="offset points",
                ha=ha,
                fontsize=5.5,
            )


def _key() -> list[Line2D]:
    grey: dict[str, Any] = {"color": "0.35"}
    return [
        Line2D(
            [], [], marker="o", markerfacecolor="white", linestyle="none", label="first", **grey
        ),
        Line2D([], [], label="into $t_d$", **DOTTED, **grey),
        Line2D([], [], marker="^", linestyle="none", label="last", **grey),
        Line2D([], [], color="0.75", linewidth=0.5, label=r"same $|\Delta L|$"),
    ]
