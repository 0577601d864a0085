"""Fig. 4: gradient destructive interference, by proxy, throughout training."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zsl.claims import Claim
from zsl.figures import style
from zsl.figures.by_step import around
from zsl.study import Study


def _maximum_after(study: Study, run: str, t_d: float) -> float:
    before, after = around(study.of_run("gradient_opposition", run), t_d)
    return float(after["D_proxy"].max() - before["D_proxy"].max())


CLAIMS = (
    Claim(
        statement="gradient destructive interference reaches its maximum with deceleration",
        measure="the largest proxy D at t >= t_d less the largest before",
        bound=0.0,
        value=_maximum_after,
    ),
)


def data(study: Study) -> pd.DataFrame:
    """Columns part, run, label, imported, step, D_proxy; parts ``D_proxy`` and ``t_d``."""
    table = study.curve("gradient_opposition").assign(part="D_proxy", imported=False)
    table = table[table["step"] > 0]
    columns = ["part", "run", "label", "imported", "step", "D_proxy"]
    return pd.concat([table[columns], style.deceleration(study, table["run"])], ignore_index=True)


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw the mean D of each checkpoint on a logarithmic axis of steps."""
    figure = style.figure(style.SINGLE, 2.4)
    axes = figure.subplots()
    span = style.draw_deceleration(axes, data)
    colour = style.colours(study)
    curves = data[data["part"] == "D_proxy"]
    for run, rows in curves.groupby("run", sort=False):
        axes.plot(rows["step"], rows["D_proxy"], color=colour[str(run)], marker="o")
    style.log_steps(axes)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_ylabel(r"$\bar{D}(\nabla_\theta\,\ell)$, proxy")
    entries = style.run_legend(study, curves["run"].unique(), marker="o")
    figure.legend(handles=entries + span, loc="outside upper center", ncols=4)
    return figure
