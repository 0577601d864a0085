"""Fig. 28: Cautious AdamW against AdamW, train loss and its difference."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from zsl.errors import ZslError
from zsl.figures import style
from zsl.figures.by_step import draw_by_step
from zsl.study import Study

BASELINE, CAUTIOUS = "adamw", "c_adamw"
COLUMNS = ["part", "run", "label", "imported", "baseline", "step", "loss"]


def data(study: Study) -> pd.DataFrame:
    """Columns part, run, label, imported, baseline, step, loss (nats).

    Parts: ``smoothed``, the train loss of each run; ``difference``, that of a C-AdamW run less
    that of the first AdamW run, ``baseline``, at the same step; ``t_d``.
    """
    of_optimizer = {
        name: [run.id for run in study.runs if _optimizer(run.settings) == name]
        for name in (BASELINE, CAUTIOUS)
    }
    if not all(of_optimizer.values()):
        raise ZslError(
            "Fig. 28 compares optimizers: a run with adamw and one with c_adamw are needed"
        )
    baseline, *_ = of_optimizer[BASELINE]
    shown = [baseline, *of_optimizer[CAUTIOUS]]
    curves = study.curve("train_loss").assign(part="smoothed", imported=False)
    curves = curves.rename(columns={"train_loss": "raw", "smoothed_train_loss": "loss"})
    curves = curves[curves["run"].isin(shown)]
    by_step = curves[curves["run"] == baseline].set_index("step")["loss"]
    others = curves[curves["run"] != baseline].assign(part="difference", baseline=baseline)
    others["loss"] = others["loss"] - others["step"].map(by_step)
    frames = [curves, others.dropna(subset="loss"), style.deceleration(study, shown)]
    return pd.concat(frames, ignore_index=True)[COLUMNS]


def _optimizer(settings: dict[str, dict[str, str]]) -> str:
    return settings["optimizer"]["name"] if settings else ""


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Both losses above, their difference below."""
    figure = style.figure(style.SINGLE, 3.0)
    panels = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for axes, part in zip(panels, ("smoothed", "difference"), strict=True):
        span = style.draw_deceleration(axes, data)
        draw_by_step(axes, data, study, "loss", part=part, marker="")
    losses = data.loc[data["part"] == "smoothed", "loss"]
    panels[0].tick_params(labelbottom=False)
    panels[0].set(yscale="log", xlabel="", ylabel="train loss $L$ (nats)")
    style.log_plain(panels[0].yaxis, losses.min(), losses.max())
    (name,) = {run.label for run in study.runs if run.id in set(data["baseline"].dropna())}
    panels[1].axhline(0, color="0.35", linewidth=0.6)
    panels[1].set_ylabel(f"$L$ less that\nof {name} (nats)")
    style.legend(figure, study, data.loc[data["part"] == "smoothed", "run"], *span)
    return figure
