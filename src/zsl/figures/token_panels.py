"""Loss landscapes of single tokens along the next update, in panels: Figs 8, 18 and 19."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from zsl.errors import ZslError
from zsl.figures import style
from zsl.study import Study

SHOWN = 0.95
"""Part of the values drawn that the limits of a y axis hold."""
ROWS = 5
"""Checkpoints drawn in a grid of models by checkpoints."""
TOKENS = 100
"""Tokens drawn in a grid: more would be one area in panels of this size."""
UPDATE: dict[str, Any] = {"color": "0.1", "linewidth": 0.7, "linestyle": (0, (4, 3))}


def powers_of_two(table: pd.DataFrame) -> list[int]:
    """Powers of two that all runs of ``table`` have a checkpoint at, in order.

    Raises ZslError if there is none.
    """
    common = set.intersection(*(set(rows["step"]) for _, rows in table.groupby("run")))
    powers = sorted(step for step in common if step > 0 and step & (step - 1) == 0)
    if not powers:
        raise ZslError(
            "token_landscapes: the runs have no checkpoint at a power of two in common, which "
            "Figs 8, 18 and 19 need"
        )
    return powers


def split_at_deceleration(table: pd.DataFrame, study: Study) -> tuple[list[int], list[int]]:
    """Powers of two t with 2t up to the first t_d of the runs, and the others; neither is empty.

    Without a fit that found a deceleration, the first and the second half.
    """
    steps = powers_of_two(table)
    breaks = style.deceleration(study, table["run"])["step"]
    first = 2 * steps[len(steps) // 2] if breaks.empty else breaks.min()
    before = [step for step in steps if 2 * step <= first]
    return before or steps[:1], [step for step in steps if 2 * step > first] or steps[-1:]


def evenly(steps: Sequence[int], number: int) -> list[int]:
    """At most ``number`` of ``steps``, evenly spaced, the first and the last among them."""
    at = np.linspace(0, len(steps) - 1, min(number, len(steps))).round().astype(int)
    return [steps[i] for i in at]


def panels_data(table: pd.DataFrame, steps: Sequence[int]) -> pd.DataFrame:
    """Columns run, label, step, update_norm, token, alpha, delta_loss (nats), improves.

    The rows of ``table`` at ``steps``; ``improves`` is whether the update itself, at alpha =
    ``update_norm``, lowers the token's loss. Raises ZslError if a token has no such row.
    """
    table = table[table["step"].isin(steps)]
    table = table.sort_values("alpha", kind="stable").reset_index(drop=True)
    keys = ["run", "step", "token"]
    updates = table[table["alpha"] == table["update_norm"]]
    improves = updates.assign(improves=updates["delta_loss"] < 0)[[*keys, "improves"]]
    table = table.merge(improves, on=keys, how="left", validate="m:1", sort=False)
    if table["improves"].isna().any():
        missing = table.loc[table["improves"].isna(), keys].iloc[0]
        raise ZslError(
            f"token_landscapes: run {missing['run']}, step {missing['step']}, token "
            f"{missing['token']}: no row at alpha = update_norm, by which tokens are coloured; "
            "make the curve again"
        )
    columns = ["run", "label", "step", "update_norm", "token", "alpha", "delta_loss", "improves"]
    return table[columns].astype({"improves": bool})


def draw_panel(axes: Axes, rows: pd.DataFrame, opacity: float) -> None:
    """One line per token, green if the update improves it, red if not, and the update.

    Files are small when few colours are next to each other: without smooth edges, opaque.
    """
    tokens = list(rows.groupby("token"))
    axes.add_collection(
        LineCollection(
            [token[["alpha", "delta_loss"]].to_numpy() for _, token in tokens],
            colors=[
                style.IMPROVES if token["improves"].iloc[0] else style.DEGRADES
                for _, token in tokens
            ],
            linewidths=0.25,
            alpha=opacity,
            antialiaseds=False,
            rasterized=True,
        )
    )
    axes.axvline(rows["update_norm"].iloc[0], **UPDATE)
    axes.set_xlim(rows["alpha"].min(), rows["alpha"].max())


def y_limit(rows: pd.DataFrame) -> float:
    """Size of the change of loss that ``SHOWN`` of the values are within, nats."""
    return float(rows["delta_loss"].abs().quantile(SHOWN)) or 1.0


def key() -> list[Artist]:
    """Legend of the lines."""
    return [
        Line2D([], [], color=style.IMPROVES, label="improves"),
        Line2D([], [], color=style.DEGRADES, label="degrades"),
        Line2D([], [], label=r"update $\|\Delta\theta\|$", **UPDATE),
    ]


def grid_data(table: pd.DataFrame, steps: Sequence[int]) -> pd.DataFrame:
    """``panels_data`` of at most ``ROWS`` of ``steps`` and ``TOKENS`` of the tokens."""
    tokens = evenly(sorted(table["token"].unique()), TOKENS)
    return panels_data(table[table["token"].isin(tokens)], evenly(steps, ROWS))


def draw_grid(data: pd.DataFrame, study: Study) -> Figure:
    """A column per model and a row per checkpoint; the panels of a row share their y axis."""
    runs = [run for run in study.runs if run.id in set(data["run"])]
    steps = sorted(data["step"].unique())
    figure = style.figure(style.DOUBLE, 0.7 + 1.05 * len(steps), dots=180)
    grid = figure.subplots(len(steps), len(runs), sharex=True, sharey="row", squeeze=False)
    for step, line in zip(steps, grid, strict=True):
        row = data[data["step"] == step]
        for run, axes in zip(runs, line, strict=True):
            draw_panel(axes, row[row["run"] == run.id], opacity=1)
        limit = y_limit(row)
        line[0].set(ylim=(-limit, limit), ylabel=f"$t$ = {step}")
    for run, axes in zip(runs, grid[0], strict=True):
        axes.set_title(run.label)
    figure.supxlabel(r"$\alpha$", fontsize=7.5)
    figure.supylabel(r"$\Delta\ell$ (nats)", fontsize=7.5)
    figure.legend(handles=key(), loc="outside upper center", ncols=3)
    return figure
