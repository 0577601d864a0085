"""Fig. 23: loss curves of batch sizes and sequence lengths, and their one-break BNSL fits."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from zsl.figures import loss_curves, style
from zsl.figures.batch_sequence import legend, looks
from zsl.figures.loss_curves import draw_as
from zsl.study import Study


def data(study: Study) -> pd.DataFrame:
    """The data of Fig. 2 for the runs made here: of an imported one the settings are not known."""
    table = loss_curves.data(study)
    return table[~table["imported"].astype(bool)].reset_index(drop=True)


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw ``data`` as Fig. 2, in colours of batch sizes and lines of sequence lengths."""
    entries = legend(study, data["run"], linewidth=1.7)
    return draw_as(data, study, entries, columns=1, looks=looks(study))
