"""What is drawn is the data, and the files are the same each time."""

import dataclasses
import functools
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb

from zsl.figures import style
from zsl.figures.render import module, save
from zsl.registry import BY_ID, TARGETS
from zsl.study import write_csv

FIGURES = tuple(target.id for target in TARGETS if target.kind == "figure")
FORMATS = ("csv", "pdf", "svg")


def made(figure, study):
    data = module(figure).data(study)
    return data, module(figure).draw(data, study)


def texts(figure):
    """All texts of all legends."""
    legends = [*figure.legends, *(a for axes in figure.axes for a in axes.get_children())]
    return [
        text.get_text() for legend in legends if hasattr(legend, "get_texts")
        for text in legend.get_texts()
    ]  # fmt: skip


def lines(figure):
    return [line for axes in figure.axes for line in axes.get_lines()]


AGAIN = """
import json, sys
from zsl.figures.render import write
from zsl.study import make_study
for figure, values, files, paths in json.load(open(sys.argv[1])):
    write(figure, make_study(values, files), paths)
"""
"""Draws figures in a process of its own."""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory, maker):
    """Each figure drawn once here, and its files; it is left as it was laid out."""
    folder, found = tmp_path_factory.mktemp("figures"), {}

    @functools.cache
    def study_of(*suites):
        labels, imported = ("14M", "37M", "78M", "OLMo-1B"), ("OLMo-1B",)
        return maker(folder / "-".join(suites))(labels=labels, imported=imported, suites=suites)

    for figure in FIGURES:
        study = study_of(*BY_ID[figure].suites)
        files = {kind: folder / f"{figure}.{kind}" for kind in FORMATS}
        with matplotlib.rc_context({"font.size": 5}):
            data, drawing = made(figure, study)
            write_csv(files["csv"], data)
            for kind in ("pdf", "svg"):
                save(drawing, files[kind], kind)
        found[figure] = study, drawing, files
    return found


@pytest.fixture(scope="module")
def again(tmp_path_factory, drawn):
    """The folder with all figures drawn again, with other settings of matplotlib and another order
    of sets, on which names of clip paths must not depend."""
    folder, jobs = tmp_path_factory.mktemp("again"), []
    for figure, (study, _, _) in drawn.items():
        values = dataclasses.asdict(study)
        files = {kind: [*map(str, paths)] for kind, paths in values.pop("files").items()}
        paths = {kind: str(folder / f"{figure}.{kind}") for kind in FORMATS}
        jobs.append((figure, values, files, paths))
    (folder / "jobs.json").write_text(json.dumps(jobs))
    (folder / "matplotlibrc").write_text("font.size: 20\n")
    settings = {"PYTHONHASHSEED": "1", "MATPLOTLIBRC": str(folder / "matplotlibrc")}
    command = [sys.executable, "-c", AGAIN, str(folder / "jobs.json")]
    environment = {"PYTHONPATH": ":".join(sys.path), "MPLCONFIGDIR": str(folder), **settings}
    subprocess.run(command, check=True, env=environment)
    return folder


@pytest.mark.parametrize("figure", FIGURES)
def test_the_same_study_gives_the_same_bytes_with_truetype_fonts(figure, drawn, again):
    _, _, files = drawn[figure]
    for path in files.values():
        assert path.read_bytes() == (again / path.name).read_bytes()
    pdf, svg = files["pdf"].read_bytes(), files["svg"].read_text()
    assert b"/CreationDate" not in pdf and b"/ModDate" not in pdf
    assert b"/Type3" not in pdf and b"/CIDFontType2" in pdf
    assert "<dc:date>" not in svg and not re.search(r"20\d\d-\d\d-\d\d", svg)


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_fits_a_column_or_the_page_and_nothing_is_cut_off(figure, drawn):
    _, drawing, _ = drawn[figure]
    width, height = drawing.get_size_inches()
    assert width in (style.SINGLE, style.DOUBLE) and height < 9
    sizes = [text.get_fontsize() for text in drawing.findobj(matplotlib.text.Text)]
    assert min(sizes) >= 5.5
    ends = drawing.get_tightbbox()
    assert ends.x0 >= 0 and ends.x1 <= width and ends.y0 >= 0 and ends.y1 <= height


def test_no_figure_stays_open(drawn):
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("figure", "part", "y"),
    [
        ("fig02", "fit", "loss"),
        ("fig03", "D", "D"),
        ("fig07", "curve", "C_g"),
        ("fig07", "curve", "ratio"),
        ("fig09", "curve", "r_jvp"),
        ("fig09", "curve", "r_fd"),
        ("fig10", "curve", "sharpness"),
        ("fig11", "curve", "update_norm"),
        ("fig11", "curve", "grad_norm"),
        ("fig16", "curve", "D_train"),
        ("fig16", "curve", "D_eval"),
    ],
)
def test_lines_are_the_data_in_the_colour_of_their_run(figure, part, y, make):
    study = make()
    data, drawing = made(figure, study)
    for run, colour in style.colours(study).items():
        rows = data[(data["part"] == part) & (data["run"] == run)]
        drawn = [
            line for line in lines(drawing)
            if np.array_equal(line.get_xdata(), rows["step"].to_numpy(float))
            and np.array_equal(line.get_ydata(), rows[y].to_numpy())
        ]  # fmt: skip
        assert len(drawn) == 1 and to_hex(drawn[0].get_color()) == colour


def test_a_changed_value_in_the_data_changes_the_drawing(make):
    study = make()
    data, _ = made("fig03", study)
    data.loc[0, "D"] = 0.123
    drawing = module("fig03").draw(data, study)
    assert any(0.123 in np.asarray(line.get_ydata()) for line in lines(drawing))


@pytest.mark.parametrize("figure", ["fig02", "fig03", "fig07", "fig09", "fig10", "fig11", "fig16"])
def test_the_grey_span_reaches_from_the_first_to_the_last_t_d(figure, make):
    _, drawing = made(figure, make())
    for axes in drawing.axes:
        grey = [p for p in axes.patches if to_hex(p.get_facecolor()) == "#dbdbdb"]
        assert len(grey) == 1
        assert grey[0].get_x() == pytest.approx(4600)
        assert grey[0].get_x() + grey[0].get_width() == pytest.approx(5900)


def test_without_any_fit_there_is_no_span(make):
    _, drawing = made("fig03", make(labels=("14M",), without_fit=("14M",)))
    assert not drawing.axes[0].patches and style.SPAN_LABEL not in texts(drawing)


def test_imported_runs_have_an_asterisk_that_is_explained(make):
    _, drawing = made("fig02", make(imported=("78M",)))
    assert "78M*" in texts(drawing) and "* imported" in texts(drawing)
    _, plain = made("fig02", make())
    assert "78M" in texts(plain) and "* imported" not in texts(plain)


def test_runs_without_measurements_are_not_in_the_legend(make):
    for figure in ("fig03", "fig05"):
        _, drawing = made(figure, make(imported=("37M",)))
        shown = texts(drawing)
        assert "14M" in shown and "78M" in shown and not any("37M" in text for text in shown)


def test_colours_are_ordered_by_lightness_and_stay_with_the_position(make):
    def lightness(colour):
        return np.dot(to_rgb(colour), [0.2126, 0.7152, 0.0722])

    study = make(labels=("14M", "37M", "78M", "big"))
    values = list(style.colours(study).values())
    assert len(set(values)) == 4
    assert sorted(values, key=lightness, reverse=True) == values
    imported = make(labels=("14M", "37M", "78M", "big"), imported=("37M",))
    assert style.colours(imported) == style.colours(study)


def test_dotted_lines_of_fig_5_join_the_two_points_around_deceleration(make):
    study = make()
    data, drawing = made("fig05", study)
    points = data[data["part"] == "trajectory"]
    dotted = [line for line in lines(drawing) if line.is_dashed() and len(line.get_xdata()) == 2]
    assert len(dotted) == 3
    for line, (_, rows) in zip(dotted, points.groupby("run", sort=False), strict=True):
        ends = rows[rows["step"].isin([2048, 4096])]
        assert list(line.get_xdata()) == list(ends["D"])
        assert list(line.get_ydata()) == list(ends["M"])


def test_fig_13_has_a_panel_for_each_run(make):
    _, drawing = made("fig13", make(labels=("14M", "37M", "78M", "big")))
    assert [axes.get_title() for axes in drawing.axes] == ["14M", "37M", "78M", "big"]


@pytest.mark.parametrize("low, high", [(0.9, 11), (2.0, 11), (3.7, 7.1), (0.2, 2.2), (1e-3, 5)])
def test_a_logarithmic_axis_has_a_few_plain_ticks(low, high):
    axes = style.figure(3, 2).subplots()
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    style.log_plain(axes.yaxis, low, high)
    ticks = axes.get_yticks()
    assert 3 <= len(ticks) <= 7 and (low <= ticks).all() and (ticks <= high).all()


def test_csv_is_the_data(drawn):
    study, _, files = drawn["fig03"]
    read = pd.read_csv(files["csv"], float_precision="round_trip")
    pd.testing.assert_frame_equal(
        read, module("fig03").data(study), check_exact=True, check_dtype=False
    )


def test_the_figure_that_extending_md_adds_can_be_made(make):
    text = (Path(__file__).parents[2] / "docs/extending.md").read_text()
    code, study = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], make()
    added = {}
    exec(textwrap.dedent(code), added)
    drawing = added["draw"](added["data"](study), study)
    assert len(lines(drawing)) == len(study.runs)
