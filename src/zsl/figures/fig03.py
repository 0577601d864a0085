"""Fig. 3: destructive interference in the changes of per-token losses from t to 2t."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from zsl.figures import style
from zsl.figures.doublings import doublings
from zsl.study import Study


def data(study: Study) -> pd.DataFrame:
    """Columns part, run, label, imported, step, step_next, D; parts ``D`` and ``t_d``."""
    changes = doublings(study).assign(part="D")
    columns = ["part", "run", "label", "imported", "step", "step_next", "D"]
    return pd.concat(
        [changes[columns], style.deceleration(study, changes["run"])], ignore_index=True
    ).astype({"step_next": "Int64"})


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw D at the start t of each interval, on a logarithmic axis."""
    figure = style.figure(style.SINGLE, 2.4)
    axes = figure.subplots()
    span = style.draw_deceleration(axes, data)
    colour = style.colours(study)
    curves = data[data["part"] == "D"]
    for run, rows in curves.groupby("run", sort=False):
        axes.plot(rows["step"], rows["D"], color=colour[str(run)], marker="o", clip_on=False)
    style.log_steps(axes)
    axes.set_ylim(0, 1)
    axes.set_ylabel(r"$D(\Delta_t^{2t}\,\ell)$")
    drawn = curves["run"].unique()
    entries = style.run_legend(study, drawn, marker="o") + style.imported_legend(study, drawn)
    figure.legend(handles=entries + span, loc="outside upper center", ncols=4)
    return figure
