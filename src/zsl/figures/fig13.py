"""Fig. 13: train loss as logged, and smoothed by LSMA."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from zsl.errors import ZslError
from zsl.figures import style
from zsl.study import Study


def data(study: Study) -> pd.DataFrame:
    """Columns run, label, step, train_loss, smoothed_train_loss (nats).

    Runs without logged losses (imported smoothed) are left out: they show no smoothing.
    """
    table = study.curve("train_loss")
    table = table[table["train_loss"].notna()].reset_index(drop=True)
    if table.empty:
        raise ZslError("fig13: no run has logged train losses; its imported curves are smoothed")
    return table[["run", "label", "step", "train_loss", "smoothed_train_loss"]]


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw a panel for each run, all with the same axes."""
    runs = list(data["run"].unique())
    figure, panels = style.panels(len(runs), height=1.5)
    colour = style.colours(study)
    for axes, run in zip(panels, runs, strict=True):
        rows = data[data["run"] == run]
        axes.plot(rows["step"], rows["train_loss"], color="0.7", linewidth=0.6, label="batch loss")
        smoothed = rows["smoothed_train_loss"]
        axes.plot(rows["step"], smoothed, color=colour[run], label="smoothed")
        axes.set_title(rows["label"].iloc[0])
        axes.set_yscale("log")
        style.log_steps(axes, label="")
    panels[0].legend(loc="upper right")
    values = data[["train_loss", "smoothed_train_loss"]]
    style.log_plain(panels[0].yaxis, values.min().min(), values.max().max())
    figure.supxlabel("step $t$", fontsize=7.5)
    figure.supylabel("train loss (nats)", fontsize=7.5)
    return figure
