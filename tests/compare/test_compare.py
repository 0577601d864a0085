"""Deviations are those of the values, and a row says whether and why it can be compared."""

import os
from pathlib import Path

import pandas as pd
import pytest

from zsl.compare import curves, page, tables
from zsl.compare.frame import frame, row
from zsl.errors import ZslError
from zsl.study import RunInfo, Study, write_csv
from zsl.tables.layout import paper_half_units, paper_values

LABELS = ("14M", "37M", "78M", "144M")


def study(comparable=True, files=None, imported=()):
    runs = tuple(RunInfo(f"main-{label}", label, label in imported, None) for label in LABELS)
    return Study("test", comparable, runs, files or {})


@pytest.fixture
def table1(tmp_path):
    """Our Table 1: the paper's, but for two values, and without the sizes above 144M."""
    paper = paper_values("table1").loc[list(LABELS)].reset_index(names="label")
    ours = paper.rename(columns={r"\hat{L}_T": "L_hat_T"}).assign(imported=False, T=262144, cut=100)
    ours.loc[0, "L_d"] += 0.004
    ours.loc[1, "r_d"] += 0.002
    path = tmp_path / "table1.csv"
    write_csv(path, ours)
    return path


def one(table, **where):
    """The only row with these values."""
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_a_deviation_is_ours_less_theirs():
    made = frame([row(source="a", row="b", quantity="c", ours=3.0, theirs=4.0, comparable=True,
                      remark="")]).iloc[0]  # fmt: skip
    assert (made.deviation, made.relative, made.rounding) == (-1.0, -0.25, "")


def test_printed_digits_by_hand():
    halves = paper_half_units("table1").loc["14M"]
    assert halves["L_d"] == pytest.approx(0.005) and halves["r_d"] == pytest.approx(0.0005)
    assert halves["t_d"] == pytest.approx(50), "5900 is printed to hundreds"
    assert paper_half_units("table3").loc["14M", "peak_lr"] == pytest.approx(0.5e-4)


def test_values_are_compared_to_the_printed_rounding(table1):
    made = tables.compare_table("table1", table1, study())
    assert one(made, row="14M", quantity="L_d")["rounding"] == "within"
    assert one(made, row="37M", quantity="r_d")["rounding"] == "beyond"
    assert one(made, row="37M", quantity="r_d")["deviation"] == pytest.approx(0.002)
    exact = made[(made["row"] == "144M")]
    assert (exact["deviation"] == 0).all() and (exact["comparable"] == "yes").all()
    missing = made[made["row"] == "472M"]
    assert set(missing["comparable"]) == {"no"} and set(missing["remark"]) == {"no such run here"}


def test_fits_at_another_t_are_not_comparable(table1):
    made = tables.compare_table("table1", table1, study(), {"14M": 188556.0, "37M": 262153.0})
    other = one(made, row="14M", quantity="L_d")
    assert (
        other["comparable"] == "no" and "188556" in other["remark"] and "262144" in other["remark"]
    )
    assert one(made, row="37M", quantity="L_d")["comparable"] == "yes"


def test_a_doubtful_fit_is_said_beside_its_values_and_above_the_table(table1):
    ours = pd.read_csv(table1).assign(doubts="")
    ours.loc[1, "doubts"] = "the loss rises"
    write_csv(table1, ours)
    made = tables.compare_table("table1", table1, study())
    assert one(made, row="14M", quantity="L_d")["remark"] == ""
    assert one(made, row="37M", quantity="L_d")["remark"] == "doubtful fit, the loss rises"
    assert "Table 1, 37M: doubtful fit, the loss rises." in page.summary(made, "test")


def test_an_experiment_of_its_own_is_compared_in_signs_only(table1):
    made = tables.compare_table("table1", table1, study(comparable=False))
    assert set(made.loc[made["row"].isin(LABELS), "comparable"]) == {"no"}
    trend = one(made, quantity="rank correlation of L_d with size")
    assert trend["ours"] == pytest.approx(-1) and trend["comparable"] == "yes"
    assert trend["theirs"] == pytest.approx(-41 / 42), "one pair of eight is out of order"
    assert "the same sign" in trend["remark"]


def test_measured_curves_meet_at_model_step_and_quantity(tmp_path):
    ours = pd.DataFrame({"run": "main-14M", "step": [1, 2], "step_next": [2, 4], "D": [0.5, 0.25],
                         "M": 1.0, "mean": -1.0, "abs_dL": 1.0})  # fmt: skip
    write_csv(tmp_path / "ours.csv", ours)
    published = pd.DataFrame(
        {"paper_figure": ["Fig. 3", "Fig. 3", None], "quantity": ["D", "D", "M"],
         "model": ["14M", "472M", "14M"], "step": [2, 2, 1], "value": [0.2, 0.3, 0.8]}
    )  # fmt: skip
    write_csv(tmp_path / "published.csv", published)
    made = curves.compare_measured(
        tmp_path / "published.csv",
        study(files={"delta_loss": (tmp_path / "ours.csv",)}),
        "delta_loss",
    )
    assert len(made) == 2, "472M has no run here"
    assert one(made, source="Fig. 3")["deviation"] == pytest.approx(0.05)
    assert one(made, source="Fig. 5", quantity="M")["deviation"] == pytest.approx(0.2)
    write_csv(tmp_path / "bad.csv", published.drop(columns="value"))
    with pytest.raises(ZslError, match="no column value"):
        curves.compare_measured(tmp_path / "bad.csv", study(), "delta_loss")


def test_the_page_says_how_much_is_comparable(table1):
    made = tables.compare_table("table1", table1, study())
    said = page.summary(made, "test")
    assert said[0].startswith("Ours against the paper: 20 of ")
    assert "18 of 20" not in said[1] and "19 of 20 within the printed rounding" in said[1]
    assert any("no such run here: 20 rows" in line for line in said)
    for text in (page.markdown(made, "test"), page.page(made, "test")):
        assert "0.002" in text and "rank correlation of r_d with size" in text


@pytest.mark.skipif(
    "ZSL_PUBLISHED_DIR" not in os.environ, reason="ZSL_PUBLISHED_DIR names no published curves"
)
def test_the_published_curves_end_where_their_fits_do():
    T = curves.paper_T(Path(os.environ["ZSL_PUBLISHED_DIR"]) / "bnsl_fit.json")
    assert T["472M"] == 188556 and all(262000 < T[name] < 262500 for name in LABELS)
