"""A curve of each run against steps: the data and the lines of most figures."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from zsl.figures import style
from zsl.study import Study

COLUMNS = ["part", "run", "label", "imported", "step"]


def by_step(study: Study, table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Columns part, run, label, imported, step, and ``columns`` of ``table``.

    Parts: ``curve``, the rows after step 0, for which a logarithmic axis has no place, and
    ``t_d``, the steps of deceleration of their runs. Measured curves are of runs made here.
    """
    table = table[table["step"] > 0].assign(part="curve", imported=False)
    breaks = style.deceleration(study, table["run"])
    return pd.concat([table[[*COLUMNS, *columns]], breaks], ignore_index=True)


def draw_by_step(
    axes: Axes, data: pd.DataFrame, study: Study, column: str, **look: Any
) -> list[str]:
    """Draw ``column`` of each run in its colour; return the runs. The y axis is left alone."""
    colour = style.colours(study)
    curves = data[data["part"] == "curve"]
    for run, rows in curves.groupby("run", sort=False):
        axes.plot(rows["step"], rows[column], **{"color": colour[str(run)], "marker": "o", **look})
    style.log_steps(axes)
    return list(curves["run"].unique())


def around(rows: pd.DataFrame, t_d: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The checkpoints before deceleration, after step 0, and those from it on."""
    return rows[(rows["step"] > 0) & (rows["step"] < t_d)], rows[rows["step"] >= t_d]
