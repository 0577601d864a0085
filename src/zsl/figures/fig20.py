"""Fig. 20: mean loss along the next update of each step, throughout training."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from zsl.figures import style
from zsl.figures.heat_maps import draw_heat_maps, heat_data
from zsl.study import Study


def data(study: Study) -> pd.DataFrame:
    """The columns of ``heat_data``."""
    return heat_data(study)


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """One heat map per run over all alphas."""
    return draw_heat_maps(data, study)
