"""Fig. 23: loss curves of batch sizes and sequence lengths, and their one-break BNSL fits."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from zsl.figures import style
from zsl.figures.batch_sequence import legend, looks
from zsl.figures.loss_curves import data, draw_as
from zsl.study import Study

__all__ = ["data", "draw"]


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw ``data`` as Fig. 2, in colours of batch sizes and lines of sequence lengths."""
    entries = legend(study, data["run"], linewidth=1.7)
    return draw_as(data, study, looks(study), entries)
