"""Fig. 14: gradient destructive interference, true and by proxy."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from zsl.claims import Claim
from zsl.errors import ZslError
from zsl.figures import style
from zsl.figures.by_step import by_step, draw_by_step
from zsl.study import Study

LOOK: dict[str, dict[str, Any]] = {
    "D_grad": {},
    "D_proxy": {"linestyle": (0, (1, 1)), "marker": ""},
}
LABELS = {"D_grad": "true", "D_proxy": "proxy"}


def _likeness(study: Study, run: str, t_d: float) -> float:
    rows = study.of_run("token_gradients", run)
    rows = rows[rows["step"] > 0]
    return float(rows["D_grad"].rank().corr(rows["D_proxy"].rank()))


def _excess(study: Study, run: str, t_d: float) -> float:
    rows = study.of_run("token_gradients", run)
    return float((rows["D_grad"] - rows["D_proxy"])[rows["step"] > 0].mean())


CLAIMS = (
    Claim(
        statement="true gradient destructive interference behaves as the proxy does",
        measure="Spearman's rank correlation of both over checkpoints",
        bound=0.5,
        value=_likeness,
    ),
    Claim(
        statement="the proxy underestimates it",
        measure="the mean over checkpoints of true less proxy D",
        bound=0.0,
        value=_excess,
    ),
)


def data(study: Study) -> pd.DataFrame:
    """Columns part, run, label, imported, step, D_grad, D_proxy, D_grad_with_embeddings.

    Both are of the same tokens: D grows with their number. Parts: see ``by_step``. Raises
    ZslError if the true D was not measured: an estimate from a sample of tokens has none.
    """
    true = study.curve("token_gradients").dropna(subset="D_grad")
    if true.empty:
        raise ZslError(
            "fig14: curves/token_gradients/ has no D_grad, the true gradient destructive "
            "interference, which is not estimated from a sample of tokens; measure with the "
            "estimator 'exact'"
        )
    return by_step(study, true, [*LOOK, "D_grad_with_embeddings"])


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw both D of each checkpoint on a logarithmic axis of steps."""
    figure = style.figure(style.SINGLE, 2.4)
    axes = figure.subplots()
    key = style.draw_deceleration(axes, data)
    for column, look in LOOK.items():
        drawn = draw_by_step(axes, data, study, column, **look)
        line = {"color": "0.35", "marker": "o", **look}
        key.append(Line2D([], [], label=LABELS[column], **line))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_ylabel(r"$\bar{D}(\nabla_\theta\,\ell)$")
    style.legend(figure, study, drawn, *key, marker="o")
    return figure
