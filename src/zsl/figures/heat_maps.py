"""Mean loss along the next update of each step, one heat map per run: Figs 20 and 21."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from zsl.figures import style
from zsl.study import Study

COLOURS = "RdBu"
"""Red below zero, where the loss improves; white at zero; blue above."""
DECADES = 4
"""Powers of ten below the largest change at which the scale of colours becomes linear, at most."""
UPDATE: dict[str, Any] = {"color": "0.1", "linewidth": 1.0}
BREAK: dict[str, Any] = {"color": "0.1", "linewidth": 0.7, "linestyle": (0, (4, 3))}


def heat_data(study: Study) -> pd.DataFrame:
    """Columns part, run, label, imported, step, update_norm, alpha, delta_loss (nats).

    Parts: ``cell``, the changes of the mean loss of checkpoints after step 0; ``t_d``.
    """
    table = study.curve("landscapes").assign(part="cell", imported=False)
    table = table[table["step"] > 0].sort_values(["step", "alpha"], kind="stable")
    table = study.in_order(table)
    columns = ["part", "run", "label", "imported", "step", "update_norm", "alpha", "delta_loss"]
    breaks = style.deceleration(study, table["run"])
    return pd.concat([table[columns], breaks], ignore_index=True)


def within(data: pd.DataFrame, reach: float) -> pd.DataFrame:
    """Without the cells beyond abs(alpha) = ``reach``, but for the next one on either side.

    Cells then fill axes of that reach to their ends.
    """
    inside = data["alpha"].abs() <= reach
    columns = inside.groupby([data["run"], data["step"]])
    beside = columns.shift(1, fill_value=False) | columns.shift(-1, fill_value=False)
    return data[inside | beside | (data["part"] != "cell")].reset_index(drop=True)


def edges(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of cells around increasing ``centres``: half way, and as far beyond the ends.

    A single centre has a cell of length one.
    """
    middle = (centres[1:] + centres[:-1]) / 2
    first, last = (middle[0], middle[-1]) if len(middle) else (centres[0] + 0.5, centres[0] - 0.5)
    return np.concatenate([[2 * centres[0] - first], middle, [2 * centres[-1] - last]])


def scale(changes: pd.Series) -> SymLogNorm:
    """A scale of colours, the same on both sides of zero, that is logarithmic but around it.

    It becomes linear below the decade that nine tenths of the changes are above, but no more
    than ``DECADES`` powers of ten below the largest.
    """
    sizes = changes[changes != 0].abs()
    largest = float(sizes.max()) if len(sizes) else 1.0
    usual = float(sizes.quantile(0.1)) if len(sizes) else largest
    linear = 10.0 ** math.floor(math.log10(max(usual, largest / 10**DECADES)))
    return SymLogNorm(linear, vmin=-largest, vmax=largest, base=10)


def draw_heat_maps(data: pd.DataFrame, study: Study, reach: float | None = None) -> Figure:
    """A panel per run with one scale of colours, for abs(alpha) up to ``reach``, or all."""
    cells = data[data["part"] == "cell"]
    reach = reach or cells["alpha"].abs().max()
    runs = list(cells["run"].unique())
    figure, panels = style.panels(len(runs), height=1.5)
    norm = scale(cells.loc[cells["alpha"].abs() <= reach, "delta_loss"])
    for axes, run in zip(panels, runs, strict=True):
        rows = cells[cells["run"] == run]
        axes.set_title(rows["label"].iloc[0])
        style.log_steps(axes, label="")
        _draw_cells(axes, rows, norm)
        for t_d in data.loc[(data["part"] == "t_d") & (data["run"] == run), "step"]:
            axes.axvline(t_d, **BREAK)
        axes.set_ylim(-reach, reach)
    figure.supxlabel("step $t$", fontsize=7.5)
    figure.supylabel(r"$\alpha$", fontsize=7.5)
    bar = figure.colorbar(ScalarMappable(norm, COLOURS), ax=panels, aspect=30, pad=0.01)
    bar.set_label(r"$\Delta L$ (nats)")
    figure.legend(handles=_key(data), loc="outside upper center", ncols=2)
    return figure


def _draw_cells(axes: Axes, rows: pd.DataFrame, norm: SymLogNorm) -> None:
    """A column of cells for each step, whose alphas are its own, and its update as a bar."""
    steps = rows["step"].unique()
    ends = 2 ** edges(np.log2(steps.astype(float)))
    for step, left, right in zip(steps, ends, ends[1:], strict=False):
        column = rows[rows["step"] == step]
        values = column["delta_loss"].to_numpy()[:, None]
        heights = edges(column["alpha"].to_numpy(float))
        axes.pcolormesh([left, right], heights, values, norm=norm, cmap=COLOURS, zorder=0)
        axes.plot([left, right], [column["update_norm"].iloc[0]] * 2, zorder=2, **UPDATE)
    axes.set_rasterization_zorder(1)
    axes.set_xlim(ends[0], ends[-1])


def _key(data: pd.DataFrame) -> list[Line2D]:
    """Legend of the lines."""
    found = [Line2D([], [], label=r"update $\|\Delta\theta\|$", **UPDATE)]
    if (data["part"] == "t_d").any():
        found.append(Line2D([], [], label="$t_d$", **BREAK))
    return found
