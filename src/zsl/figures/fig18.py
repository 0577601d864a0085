"""Fig. 18: loss landscapes of single tokens across models, around and after deceleration."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from zsl.figures import style
from zsl.figures.token_panels import draw_grid, grid_data, split_at_deceleration
from zsl.study import Study


def data(study: Study) -> pd.DataFrame:
    """Columns run, label, step, update_norm, token, alpha, delta_loss, improves.

    See ``grid_data``; at powers of two from the last before deceleration on.
    """
    table = study.curve("token_landscapes")
    _, steps = split_at_deceleration(table, study)
    return grid_data(table, steps)


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Columns of models, rows of checkpoints."""
    return draw_grid(data, study)
