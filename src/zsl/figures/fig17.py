"""Fig. 17: accuracy on downstream tasks against the evaluation loss."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from zsl.figures import style
from zsl.study import Study

COLUMNS = ["part", "run", "label", "imported", "step", "task", "eval_loss"]
MEASURED = ["accuracy", "se", "chance", "items", "cut"]
CHANCE: dict[str, Any] = {"color": "0.4", "linewidth": 0.7, "linestyle": (0, (4, 2))}
INTO: dict[str, Any] = {"linewidth": 1.3, "linestyle": (0, (1, 1))}
BEFORE: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.7}
AFTER: dict[str, Any] = {"linewidth": 1.3}


def data(study: Study) -> pd.DataFrame:
    """Columns part, run, label, imported, step, task, eval_loss (nats), accuracy, se, chance,
    items, cut, dotted.

    Parts: ``curve``, a point for each checkpoint and task, ``dotted`` where the line to the next
    checkpoint is: t_d lies between them; ``t_d``, the steps from which ``dotted`` follows.
    """
    losses = study.curve("eval_loss")[["run", "step", "eval_loss"]]
    table = study.curve("downstream").merge(losses, on=["run", "step"], validate="many_to_one")
    table = table.assign(part="curve", imported=False)
    breaks = style.deceleration(study, table["run"])
    t_d = table["run"].map(dict(zip(breaks["run"], breaks["step"], strict=True)))
    following = table.groupby(["run", "task"], sort=False)["step"].shift(-1)
    table["dotted"] = (table["step"] <= t_d) & (t_d < following)
    joined = pd.concat([table[[*COLUMNS, *MEASURED, "dotted"]], breaks], ignore_index=True)
    return joined.astype({"items": "Int64", "cut": "Int64", "dotted": "boolean"})


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw a panel for each task; the loss falls to the right, as training goes."""
    curves = data[data["part"] == "curve"]
    tasks = [str(task) for task in curves["task"].unique()]
    figure, panels = style.panels(len(tasks), 1.5)
    colour = style.colours(study)
    for axes, task in zip(panels, tasks, strict=True):
        for run, rows in curves[curves["task"] == task].groupby("run", sort=False):
            _draw_run(axes, rows, colour[str(run)])
        axes.axhline(curves.loc[curves["task"] == task, "chance"].mean(), zorder=1, **CHANCE)
        axes.set_title(_title(curves[curves["task"] == task]))
    panels[0].set_xlim(curves["eval_loss"].max() + 0.1, curves["eval_loss"].min() - 0.1)
    panels[0].xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    figure.supxlabel("evaluation loss (nats)", fontsize=7.5)
    figure.supylabel("accuracy", fontsize=7.5)
    style.legend(figure, study, curves["run"].unique(), *_key(), columns=8, marker="o")
    return figure


def _title(rows: pd.DataFrame) -> str:
    """A task with its number of items, and of those whose context was cut for any run."""
    cut = f", {rows['cut'].max():.0f} cut" if rows["cut"].any() else ""
    return f"{rows['task'].iloc[0]} ({rows['items'].max():.0f} items{cut})"


def _draw_run(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    """One run: thin before deceleration, dotted into it, thick after it; bars of one error."""
    loss, accuracy, dotted = (rows[name].to_numpy() for name in ("eval_loss", "accuracy", "dotted"))
    axes.errorbar(
        loss, accuracy, rows["se"], fmt="o", color=colour, ecolor=colour, elinewidth=0.4, zorder=3
    )
    style.draw_past(axes, loss, accuracy, dotted, colour, looks=(BEFORE, INTO, AFTER))


def _key() -> list[Line2D]:
    return [
        Line2D([], [], color="0.3", label="before", **BEFORE),
        Line2D([], [], color="0.3", label="into deceleration", **INTO),
        Line2D([], [], color="0.3", label="after", **AFTER),
        Line2D([], [], label="chance", **CHANCE),
    ]
