"""Intervals of D and M are drawn where they are, in the colour of their run."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from zsl.figures import fig03, fig05, fig27, style


@pytest.mark.parametrize("figure", [fig03, fig27])
def test_bands_reach_from_end_to_end_of_the_intervals_of_d(make, figure):
    study = make()
    data = figure.data(study)
    bands = figure.draw(data, study).axes[0].collections
    assert len(bands) == 3
    for band, (run, colour) in zip(bands, style.colours(study).items(), strict=True):
        rows = data[(data["part"] == "D") & (data["run"] == run)]
        corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
        for end in ("D_low", "D_high"):
            assert set(zip(rows["step"], rows[end], strict=True)) <= corners
        assert to_hex(band.get_facecolor()[0]) == colour


def test_bars_of_fig_5_cross_at_each_point(make):
    study = make()
    data = fig05.data(study)
    drawn = fig05.draw(data, study).axes[0].collections
    assert len(drawn) == 6
    for run, horizontal, vertical in zip(study.runs, drawn[::2], drawn[1::2], strict=True):
        rows = data[(data["part"] == "trajectory") & (data["run"] == run.id)]
        written = study.of_run("delta_loss", run.id).set_index("step").loc[rows["step"].astype(int)]
        D, M, D_low, D_high, M_low, M_high = written[["D", "M", *fig05.ENDS]].to_numpy().T
        assert np.array(horizontal.get_segments()) == pytest.approx(
            np.stack([[D_low, M], [D_high, M]]).transpose(2, 0, 1)
        )
        assert np.array(vertical.get_segments()) == pytest.approx(
            np.stack([[D, M_low], [D, M_high]]).transpose(2, 0, 1)
        )
        assert to_hex(horizontal.get_color()[0]) == style.colours(study)[run.id]


def test_without_intervals_lines_are_drawn_alone(make):
    """A single evaluation sequence gives none."""
    study = make()
    for figure in (fig03, fig05):
        data = figure.data(study)
        data[[name for name in fig05.ENDS if name in data]] = np.nan
        assert figure.draw(data, study).axes[0].get_lines()
