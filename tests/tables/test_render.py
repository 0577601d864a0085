"""What a reader sees: digits, marks, notes, and files that are the same each time."""

import html.parser
import math
import re
import shutil
import subprocess

import pandas as pd
import pytest

from zsl.files import read_json, write_json
from zsl.tables import layout, render, table1
from zsl.tables.render import html_text, md_text, tex_text, write

TABLES = ("table1", "table2", "table3", "table4")
FORMATS = ("csv", "tex", "md", "html")
TEXTS = ("tex", "md", "html")


@pytest.fixture
def rendered(make, tmp_path):
    """Write a table of a study and return its texts by format."""

    def render(table, folder="out", caption=None, **study):
        files = {kind: tmp_path / folder / f"{table}.{kind}" for kind in FORMATS}
        write(table, make(**study), files, caption)
        return {kind: path.read_text() for kind, path in files.items()}

    return render


def body(markdown):
    """Rows of cells of a pipe table, the heading first."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [cells[0], *cells[2:]]


@pytest.mark.parametrize("table", TABLES)
def test_the_same_study_gives_the_same_bytes(rendered, table):
    study = {"comparable": True, "imported": ("78M",)}
    assert rendered(table, "one", **study) == rendered(table, "two", **study)


def test_csv_has_full_precision(rendered, tmp_path, make):
    rendered("table1")
    from zsl.tables.table1 import rows

    read = pd.read_csv(
        tmp_path / "out/table1.csv", float_precision="round_trip", keep_default_na=False
    )
    pd.testing.assert_frame_equal(read, rows(make()), check_exact=True)


def test_printed_digits_are_the_papers(rendered):
    heading, first, *_ = body(rendered("table1", labels=("14M", "tiny"))["md"])
    row = dict(zip(heading, first, strict=True))
    assert heading == ["Model", "L_d", "t_d", "r_d", "L_hat_T", "L_T", "T", "cut"]
    assert row["t_d"] == "5900" and row["T"] == "262144" and row["cut"] == "100"
    assert re.fullmatch(r"\d\.\d\d", row["L_d"]) and re.fullmatch(r"\d\.\d{3}", row["r_d"])


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (layout.hundreds, 5877.3, "5900"),
        (layout.hundreds, 6074.2, "6100"),
        (layout.hundreds, 353.9, "350"),
        (layout.fixed(2), -0.001, "0.00"),
        (layout.fixed(3), 0.0125168, "0.013"),
        (layout.scientific, 1.26e-3, "1.3E-3"),
        (layout.scientific, 9.71e-4, "9.7E-4"),
        (layout.thousands, 14319616, "14,319,616"),
    ],
)
def test_a_value_as_printed(show, value, text):
    assert show(value) == text


def test_errors_follow_their_values(rendered):
    texts = rendered("table4")
    assert "18.40 ± 0.01" in texts["md"] and "18.40 ± 0.01" in texts["html"]
    assert r"18.40 $\pm$ 0.01" in texts["tex"]
    assert "-0.16 ± 0.03" in texts["md"] and r"$-$0.16 $\pm$ 0.03" in texts["tex"]


def test_the_papers_value_and_the_deviation_stand_by_ours_where_comparable(rendered):
    lines = body(rendered("table1", labels=("14M", "tiny"), comparable=True)["md"])
    assert [line[:2] for line in lines[1:]] == [
        ["14M", "ours"], ["", "paper"], ["", "deviation"], ["tiny", "ours"],
    ]  # fmt: skip
    column = lines[0].index("t_d")
    assert lines[2][column] == "5900"
    assert lines[3][column] == f"{2.718281828459045**8.68 - 5900:+.0f}"
    assert "deviation" not in rendered("table1", labels=("14M", "tiny"))["md"]
    assert "deviation" not in rendered("table1", labels=("tiny",), comparable=True)["md"]


@pytest.mark.parametrize("table", ["table1", "table4"])
def test_imported_rows_are_marked_and_explained(rendered, table):
    texts = rendered(table, imported=("37M",))
    assert "37M\\*" in texts["md"] and "37M* &" in texts["tex"] and "<td>37M*</td>" in texts["html"]
    assert "14M\\*" not in texts["md"]
    for kind in TEXTS:
        assert "imported, not trained here." in texts[kind] and "Published curves." in texts[kind]
    assert "imported" not in rendered(table)["md"]


@pytest.mark.parametrize("table", ["table1", "table4"])
def test_a_missing_fit_is_named_and_has_no_row(rendered, table):
    texts = rendered(table, without=("37M",))
    for kind in TEXTS:
        assert "Left out, without a fit: 37M." in texts[kind]
    assert all("37M" not in line[0] for line in body(texts["md"]))


def test_missing_evaluations_are_named(rendered):
    texts = rendered("table2", labels=("14M", "37M", "78M", "tiny"), imported=("tiny",))
    assert "Left out, without evaluation losses of both: 78M → tiny." in texts["md"]
    assert r"78M $\rightarrow$ tiny." in texts["tex"]
    lines = body(rendered("table2", lacking={("14M", 32)})["md"])
    assert lines[1][1] == layout.ABSENT and lines[2][1] != layout.ABSENT


def test_rows_of_the_paper_that_are_not_here_are_named(rendered):
    texts = rendered("table1", comparable=True, without=("37M",))
    missing = "In the paper, but not here: 144M, 285M, 472M, OLMo-1B, OLMo-7B."
    assert all(missing in texts[kind] for kind in TEXTS)
    assert "In the paper" not in rendered("table1")["md"]


@pytest.mark.parametrize("table", ["table1", "table4"])
def test_a_note_says_when_rows_mix_T(rendered, table):
    mixed = rendered(table, T=(("37M", 188556),))
    for kind in TEXTS:
        assert "The rows mix T, from 188556 to 262144" in mixed[kind]
    assert "mix" not in rendered(table)["md"]


class Cells(html.parser.HTMLParser):
    """Counts the cells of each row and collects the text."""

    def __init__(self):
        super().__init__()
        self.rows, self.open = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("table", TABLES)
def test_html_and_latex_have_as_many_cells_in_every_row(rendered, table):
    texts = rendered(table, comparable=True)
    parser = Cells()
    parser.feed(texts["html"])
    assert not parser.open and len(set(parser.rows)) == 1 and len(parser.rows) > 3
    rows = [line for line in texts["tex"].splitlines() if line.endswith(r"\\")]
    assert len({line.count("&") for line in rows}) == 1 and len(rows) == len(parser.rows)


def test_special_characters_are_text():
    assert tex_text("a_b & 5% -> <c>") == r"a\_b \& 5\% $\rightarrow$ $<$c$>$"
    assert html_text("<b> & -> c") == "&lt;b&gt; &amp; → c"
    assert md_text("a|b*c -> <d>") == r"a\|b\*c → \<d>"


def test_the_given_caption_is_shown_and_latex_numbers_it_itself(rendered):
    texts = rendered("table1", caption="Table 1: Steps > 50 of it.")
    assert texts["md"].startswith("Table 1: Steps > 50 of it.\n")
    assert r"\caption{Steps $>$ 50 of it.}" in texts["tex"]
    assert "<caption>Table 1: Steps &gt; 50 of it.</caption>" in texts["html"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(rendered, tmp_path):
    study = {"comparable": True, "imported": ("78M",), "T": (("37M", 188556),)}
    inputs = []
    for table in TABLES:
        rendered(table, **study)
        inputs.append(f"\\input{{out/{table}.tex}}")
    head = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
    (tmp_path / "all.tex").write_text(head + "\n".join(inputs) + "\n\\end{document}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (5877.3, 4500, 7000, "5900"),
        (26.6, 20, 35, "26.6"),
        (697.4, 640, 760, "697"),
        (697.4, 500, 900, "700"),
        (60_000.0, 110, 60_000, "60000"),
        (-0.04, -0.3, 0.3, "-0.04"),
    ],
)
def test_values_have_the_digits_that_their_interval_allows(value, low, high, text):
    assert layout.as_known(value, low, high) == text


def test_t_d_is_printed_by_its_interval_and_the_papers_as_it_stands(make):
    study = make(comparable=True)
    path = next(path for path in study.files["fits"] if path.name.endswith("14M.json"))
    write_json(path, {**read_json(path), "intervals": {"t_d": [5800, 5950]}})
    rows = table1.rows(study)
    cells = layout.printed(
        layout.compared("table1", study, rows, table1.columns(study)), table1.columns(study)
    )
    assert list(cells["t_d"][:2]) == [f"{math.exp(8.68):.0f}", "5900"]


@pytest.mark.parametrize("table", ["table1", "table4"])
def test_a_doubtful_fit_is_marked_and_explained(rendered, make, table):
    study = make()
    path = next(path for path in study.files["fits"] if path.name.endswith("37M.json"))
    write_json(
        path, {**read_json(path), "doubts": {"rise": "the loss rises", "replicates": "more"}}
    )
    made = render.made_as(table)
    rows = made.rows(study)
    labels = list(layout.printed(rows, made.columns(study))["label"])
    assert labels == ["14M", "37M†", "78M"]
    notes = layout.common_notes(table, study, rows, made.expected(study), made.missing)
    assert "† Doubtful, 37M: the loss rises (also: replicates)." in notes
