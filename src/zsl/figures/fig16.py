"""Fig. 16: destructive interference in the changes of losses after a single update."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from zsl.figures import style
from zsl.figures.by_step import by_step, draw_by_step
from zsl.study import Study

PANELS = {"D_train": "Train", "D_eval": "Eval"}


def data(study: Study) -> pd.DataFrame:
    """Columns part, run, label, imported, step, batches, and D_train and D_eval over the batches.

    Of each D: the mean under its own name, and ``_min`` and ``_max``. Parts: see ``by_step``.
    """
    batches = study.curve("single_step").groupby(["run", "label", "step"], sort=False)
    columns: dict[str, tuple[str, str]] = {"batches": ("batch", "count")}
    for D in PANELS:
        columns |= {D: (D, "mean"), f"{D}_min": (D, "min"), f"{D}_max": (D, "max")}
    table = by_step(study, batches.agg(**columns).reset_index(), list(columns))
    return table.astype({"batches": "Int64"})


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw the means as lines, in bands from the smallest to the largest of the batches."""
    figure = style.figure(style.DOUBLE, 2.2)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, (D, title) in zip(panels, PANELS.items(), strict=True):
        key = style.draw_deceleration(axes, data)
        drawn = draw_by_step(axes, data, study, D, band=(f"{D}_min", f"{D}_max"), clip_on=False)
        axes.set_title(title)
    panels[0].set_ylim(0, 1)
    panels[0].set_ylabel(r"$D(\Delta_t^{t+1}\,\ell)$")
    style.legend(figure, study, drawn, *key, columns=8, marker="o")
    return figure
