"""Fig. 4: gradient destructive interference, by proxy, throughout training."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zsl.claims import Claim
from zsl.figures import style
from zsl.figures.by_step import around, by_step, draw_by_step
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
    return by_step(study, study.curve("gradient_opposition"), ["D_proxy"], part="D_proxy")


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw the mean D of each checkpoint on a logarithmic axis of steps."""
    figure = style.figure(style.SINGLE, 2.4)
    axes = figure.subplots()
    span = style.draw_deceleration(axes, data)
    drawn = draw_by_step(axes, data, study, "D_proxy", part="D_proxy")
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_ylabel(r"$\bar{D}(\nabla_\theta\,\ell)$, proxy")
    style.legend(figure, study, drawn, *span, marker="o")
    return figure
