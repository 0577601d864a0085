"""Which tokens interfere: groups as measured, and the part of D that is within them."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from zsl.figures import breakdown, style

GROUPED = ("position", "frequency")


def of(data, part, run, by):
    return data[(data["part"] == part) & (data["run"] == run) & (data["by"] == by)]


def test_groups_are_those_measured_of_the_smallest_and_the_largest_run(make):
    study = make(imported=("14M",), labels=("14M", "37M", "78M", "big"))
    data = breakdown.data(study)
    assert list(data["label"].unique()) == ["37M", "big"]
    for run in ("main-37M", "main-big"):
        written = study.of_run("breakdown", run)
        for by in GROUPED:
            groups = of(data, "group", run, by)
            for name in ("step", "step_next", "low", "high", "n", "D"):
                assert list(groups[name]) == list(written.loc[written["by"] == by, name])


def test_a_single_run_stands_alone(make):
    study = make(labels=("37M",))
    data = breakdown.data(study)
    assert list(data["run"].unique()) == ["main-37M"]
    assert len(breakdown.draw(data, study).axes) == 2


@pytest.mark.parametrize("by", GROUPED)
def test_d_of_all_tokens_is_within_and_between_groups(make, by):
    """Sums over groups against each other: their signs make the difference."""
    study = make()
    data = breakdown.data(study)
    opposed = []
    for run in ("main-14M", "main-78M"):
        total = of(data, "total", run, by).set_index("step")
        within = of(data, "within", run, by).set_index("step")["D"]
        assert list(total.index) == list(within.index) == [1 << i for i in range(14)]
        for step, rows in study.of_run("breakdown", run).query(f"by == '{by}'").groupby("step"):
            sums, absolute = rows["n"] * rows["mean"], rows["n"] * rows["M"]
            gains, losses = -sums[sums < 0].sum(), sums[sums > 0].sum()
            between = 2 * min(gains, losses) / absolute.sum()
            assert total.loc[step, "D"] - within[step] == pytest.approx(between, abs=1e-12)
            assert within[step] == pytest.approx(np.average(rows["D"], weights=absolute))
            assert total.loc[step, "n"] == rows["n"].sum()
            opposed.append(between > 0.01)
    assert any(opposed) and not all(opposed)


def test_every_group_is_a_line_in_a_colour_of_no_size(make):
    study = make()
    data = breakdown.data(study)
    drawing = breakdown.draw(data, study)
    panels = iter(drawing.axes)
    sizes = set(style.colours(study).values())
    for run in ("main-14M", "main-78M"):
        for by in GROUPED:
            drawn = next(panels).get_lines()
            expected = [rows for _, rows in of(data, "group", run, by).groupby("low")]
            expected += [of(data, part, run, by) for part in ("total", "within")]
            assert len(drawn) == len(expected)
            for line, rows in zip(drawn, expected, strict=True):
                assert list(line.get_xdata()) == list(rows["step"])
                assert list(line.get_ydata()) == list(rows["D"])
            colours = [to_hex(line.get_color()) for line in drawn]
            assert len(set(colours)) == len(drawn) - 1 and not sizes & set(colours)


def test_the_legends_say_the_ends_of_the_groups(make):
    study = make()
    drawing = breakdown.draw(breakdown.data(study), study)
    left, right = (
        [text.get_text() for text in axes.get_legend().get_texts()] for axes in drawing.axes[:2]
    )
    assert left == ["1", "2 to 7", "8 to 31"]
    assert right == ["0 to 0.02", "0.03 to 0.5", "0.6 to 7"]
