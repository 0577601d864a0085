"""What is drawn is the data, and the files are the same each time."""

import re
import subprocess
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb

from zsl.figures import style
from zsl.figures.render import module, write
from zsl.registry import BY_ID, TARGETS

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


@pytest.mark.parametrize("figure", FIGURES)
def test_the_same_study_gives_the_same_bytes_with_truetype_fonts(figure, make, tmp_path):
    written = []
    for folder in ("one", "two"):
        files = {kind: tmp_path / folder / f"{figure}.{kind}" for kind in FORMATS}
        with matplotlib.rc_context({"font.size": 5 if folder == "one" else 20}):
            write(figure, make(imported=("37M",), suites=BY_ID[figure].suites), files)
        written.append({kind: path.read_bytes() for kind, path in files.items()})
    assert written[0] == written[1]
    pdf, svg = written[0]["pdf"], written[0]["svg"].decode()
    assert b"/CreationDate" not in pdf and b"/ModDate" not in pdf
    assert b"/Type3" not in pdf and b"/CIDFontType2" in pdf
    assert "<dc:date>" not in svg and not re.search(r"20\d\d-\d\d-\d\d", svg)


def test_another_process_gives_the_same_bytes(make, tmp_path):
    """Names of clip paths must not depend on the hash seed."""
    data = module("fig05").data(make())
    data.to_csv(tmp_path / "data.csv", index=False)
    code = (
        "import sys, pandas as pd\n"
        "from zsl.figures import fig05, render\n"
        "from zsl.study import RunInfo, Study\n"
        "data = pd.read_csv(sys.argv[1]).astype({'dotted': 'boolean'})\n"
        "runs = tuple(RunInfo(r, r[5:], False, 1) for r in data['run'].dropna().unique())\n"
        "drawing = fig05.draw(data, Study('x', False, runs, {}))\n"
        "for path in sys.argv[2:]:\n"
        "    render.save(drawing, path, path[-3:])\n"
    )
    written = []
    for seed in ("1", "2"):
        out = [str(tmp_path / f"{seed}.{kind}") for kind in ("svg", "pdf")]
        command = [sys.executable, "-c", code, str(tmp_path / "data.csv"), *out]
        path = ":".join(sys.path)
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": path, "MPLCONFIGDIR": str(tmp_path)}
        subprocess.run(command, check=True, env=environment)
        written.append([(tmp_path / f"{seed}.{kind}").read_bytes() for kind in ("svg", "pdf")])
    assert written[0] == written[1]


@pytest.mark.parametrize("figure", FIGURES)
def test_no_figure_stays_open(figure, make):
    made(figure, make(suites=BY_ID[figure].suites))
    assert plt.get_fignums() == []


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_fits_a_column_or_the_page(figure, make):
    _, drawing = made(figure, make(suites=BY_ID[figure].suites))
    width, height = drawing.get_size_inches()
    assert width in (style.SINGLE, style.DOUBLE) and height < 9
    sizes = [text.get_fontsize() for text in drawing.findobj(matplotlib.text.Text)]
    assert min(sizes) >= 5.5


@pytest.mark.parametrize("figure", FIGURES)
def test_nothing_that_is_written_is_cut_off(figure, make):
    labels, imported = ("14M", "37M", "78M", "OLMo-1B"), ("OLMo-1B",)
    study = make(labels=labels, imported=imported, suites=BY_ID[figure].suites)
    _, drawing = made(figure, study)
    width, height = drawing.get_size_inches()
    drawing.draw_without_rendering()  # lays it out
    drawn = drawing.get_tightbbox()
    assert drawn.x0 >= 0 and drawn.x1 <= width and drawn.y0 >= 0 and drawn.y1 <= height


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


def test_csv_is_the_data(make, tmp_path):
    study = make()
    write("fig03", study, {"csv": tmp_path / "f.csv"})
    read = pd.read_csv(tmp_path / "f.csv", float_precision="round_trip")
    pd.testing.assert_frame_equal(
        read, module("fig03").data(study), check_exact=True, check_dtype=False
    )
