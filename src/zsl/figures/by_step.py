"""A curve of each run against steps: the data and the lines of most figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from zsl.figures import style
from zsl.study import Study

COLUMNS = ["part", "run", "label", "imported", "step"]


def by_step(
    study: Study, table: pd.DataFrame, columns: list[str], part: str = "curve"
) -> pd.DataFrame:
    """Columns part, run, label, imported, step, and ``columns`` of ``table``.

    Parts: ``part``, the rows after step 0, for which a logarithmic axis has no place, and
    ``t_d``, the steps of deceleration of their runs. Measured curves are of runs made here.
    """
    table = table[table["step"] > 0].assign(part=part, imported=False)
    breaks = style.deceleration(study, table["run"])
    return pd.concat([table[[*COLUMNS, *columns]], breaks], ignore_index=True)


def draw_by_step(
    axes: Axes,
    data: pd.DataFrame,
    study: Study,
    column: str,
    *,
    part: str = "curve",
    band: tuple[str, str] | None = None,
    looks: Mapping[str, dict[str, Any]] | None = None,
    **look: Any,
) -> list[str]:
    """Draw ``column`` of each run in its colour, or with its own of ``looks``; return the runs.

    ``band`` are columns between which an area is filled. The y axis is left alone.
    """
    of_run = looks or {run: {"color": colour} for run, colour in style.colours(study).items()}
    curves = data[data["part"] == part]
    for run, rows in curves.groupby("run", sort=False):
        line = {"marker": "o", **of_run[str(run)], **look}
        if band is not None:
            area = {"color": line["color"], "alpha": 0.2, "linewidth": 0}
            axes.fill_between(rows["step"], rows[band[0]], rows[band[1]], **area)
        axes.plot(rows["step"], rows[column], **line)
    style.log_steps(axes)
    return list(curves["run"].unique())


def around(rows: pd.DataFrame, t_d: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The checkpoints before deceleration, after step 0, and those from it on."""
    return rows[(rows["step"] > 0) & (rows["step"] < t_d)], rows[rows["step"] >= t_d]
