"""Fig. 3: destructive interference in the changes of per-token losses from t to 2t."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from zsl.claims import Claim
from zsl.figures import style
from zsl.figures.doublings import doublings, one_run
from zsl.study import Study

SPREAD = 4
"""A rise within this factor of t_d co-occurs with deceleration."""


def _rise(study: Study, run: str, t_d: float) -> float:
    rows = one_run(study, run)
    after = rows.loc[rows["step"] >= t_d, "D"]
    before = rows.loc[rows["step_next"] <= t_d, "D"]
    return float(after.mean() - before.min())


def _share_of_rise(study: Study, run: str, t_d: float) -> float:
    rows = one_run(study, run)
    rows = rows.iloc[int(rows["D"].to_numpy().argmin()) :]
    at = np.log([max(t_d / SPREAD, rows["step"].min()), t_d * SPREAD])
    low, high = np.interp(at, np.log(rows["step"]), rows["D"])
    return float((high - low) / (rows["D"].max() - rows["D"].min()))


CLAIMS = (
    Claim(
        statement="destructive interference in loss changes is higher after deceleration",
        measure="mean D over the doublings from t >= t_d less its minimum over those before",
        bound=0.0,
        value=_rise,
    ),
    Claim(
        statement="most of its rise co-occurs with deceleration",
        measure=f"the share of the rise of D that lies within a factor of {SPREAD} of t_d",
        bound=0.5,
        value=_share_of_rise,
    ),
)


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
