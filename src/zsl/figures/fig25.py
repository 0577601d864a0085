"""Fig. 25: destructive interference in loss changes, by batch size and sequence length."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from zsl.figures import style
from zsl.figures.batch_sequence import legend, looks
from zsl.figures.interference_curves import data, draw_as
from zsl.study import Study

__all__ = ["data", "draw"]


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw ``data`` as Fig. 3, in colours of batch sizes and lines of sequence lengths."""
    return draw_as(data, study, legend(study, data["run"]), columns=3, looks=looks(study))
