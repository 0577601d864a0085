"""Fig. 21: mean loss along the next update of each step, close to the update."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from zsl.figures import style
from zsl.figures.heat_maps import draw_heat_maps, heat_data, within
from zsl.study import Study


def data(study: Study) -> pd.DataFrame:
    """The columns of ``heat_data``, ``within`` the option ``fig21_zoom``."""
    return within(heat_data(study), _zoom(study))


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """One heat map per run over the alphas of the zoom."""
    return draw_heat_maps(data, study, _zoom(study))


def _zoom(study: Study) -> float:
    """Largest abs(alpha) drawn, in Euclidean norm of the parameters."""
    return float(study.options.get("fig21_zoom", 2.0))
