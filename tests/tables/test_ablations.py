"""Tables 1 and 4 to 8, computed again from the fits, and all beside the paper's."""

import math
import re

import numpy as np
import pytest

from zsl.files import read_json
from zsl.tables.layout import compared, paper_values
from zsl.tables.render import made_as, write

MAIN = {"labels": ("14M", "37M", "tiny")}
RUNS = {
    "table1": MAIN,
    "table2": MAIN,
    "table3": MAIN,
    "table4": MAIN,
    "table5": {"suite": "cosine", "labels": ("14M", "37M", "tiny")},
    "table6": {"suite": "batch_sequence", "labels": ("1M-1024", "4M-2048")},
    "table7": {"suite": "optimizer", "labels": ("AdamW", "C-AdamW")},
    "table8": {"suite": "cosine", "labels": ("14M", "37M", "tiny")},
}


@pytest.fixture
def rendered(make, tmp_path):
    """Write a table of a study and return its texts by format."""

    def render(table, **study):
        files = {kind: tmp_path / f"out/{table}.{kind}" for kind in ("csv", "tex", "md", "html")}
        write(table, make(**{**RUNS[table], **study}), files)
        return {kind: path.read_text() for kind, path in files.items()}

    return render


def fits(study):
    return {fit["run"]: fit for fit in map(read_json, study.files["fits"])}


@pytest.mark.parametrize("table", ["table1", "table6", "table7", "table8"])
def test_measurements_follow_from_the_parameters_by_eq_2(make, table):
    study = make(**RUNS[table])
    rows = made_as(table).rows(study)
    assert list(rows["label"]) == list(RUNS[table]["labels"])
    for _, row in rows.iterrows():
        p = fits(study)[row["run"]]["parameters"]
        d_1 = math.exp(p["log_d_1"])
        assert row["t_d"] == pytest.approx(d_1)
        assert row["L_d"] == pytest.approx(p["b"] * d_1 ** -p["c_0"])
        assert row["r_d"] == pytest.approx(p["c_0"] + p["c_1"])
        if "L_hat_T" in row:
            predicted = row["L_d"] * (d_1 / row["T"]) ** row["r_d"]
            assert row["L_hat_T"] == pytest.approx(predicted)


@pytest.mark.parametrize("table", ["table4", "table5", "table6", "table7"])
def test_every_parameter_has_its_error(make, table):
    study = make(**RUNS[table])
    for _, row in made_as(table).rows(study).iterrows():
        fit = fits(study)[row["run"]]
        for name, value in fit["parameters"].items():
            assert (row[name], row[f"{name}_error"]) == (value, fit["errors"][name])
        assert (row["RSLE"], row["T"], row["cut"]) == (fit["RSLE"], fit["T"], fit["cut"])


def test_table_6_counts_the_tokens_of_a_batch(make):
    rows = made_as("table6").rows(make(**RUNS["table6"])).set_index("label")
    assert list(rows["batch_tokens"]) == [2**20, 2**22]
    assert list(rows["sequence_length"]) == [1024, 2048]


@pytest.mark.parametrize("table", RUNS)
def test_deviations_are_ours_minus_the_papers(make, table):
    study, made = make(comparable=True, **RUNS[table]), made_as(table)
    rows, columns = made.rows(study), made.columns(study)
    shown, paper = compared(table, study, rows, columns), paper_values(table)
    checked = 0
    for _, row in shown.iterrows():
        for column in columns:
            if column.paper is None:
                assert f"{column.name}_paper" not in row
            elif row["label"] in paper.index:
                theirs = paper.at[row["label"], column.paper]
                assert row[f"{column.name}_paper"] == theirs
                assert row[f"{column.name}_deviation"] == pytest.approx(row[column.name] - theirs)
                checked += 1
            else:
                assert np.isnan(row[f"{column.name}_deviation"])
    assert checked >= len(columns) - 3
    assert shown[rows.columns].equals(rows)


@pytest.mark.parametrize("table", ["table5", "table6", "table7", "table8"])
def test_the_papers_rows_have_the_labels_of_the_runs(table):
    labels = paper_values(table).index
    assert labels.is_unique and set(labels) & set(RUNS[table]["labels"])


def test_the_papers_tables_agree_with_each_other():
    five, eight = paper_values("table5"), paper_values("table8")
    assert list(five.index) == list(eight.index) == list(paper_values("table1").index)
    for table in (paper_values("table6"), paper_values("table7"), five.join(eight)):
        d_1 = np.exp(table["log(d_1)"])
        assert d_1.to_numpy() == pytest.approx(table["t_d"].to_numpy(), rel=0.01)
        assert (table["c_0"] + table["c_1"] - table["r_d"]).abs().max() < 0.011
    six = paper_values("table6")
    assert list(six.index) == [
        f"{b}-{s}" for b, s in zip(six.iloc[:, 0], six.iloc[:, 1], strict=True)
    ]


@pytest.mark.parametrize("table", ["table6", "table7", "table8"])
def test_t_d_is_printed_to_single_steps(rendered, table):
    first = RUNS[table]["labels"][0]
    t_d = {"14M": math.exp(8.68), "1M-1024": math.exp(8.54), "AdamW": math.exp(8.64)}[first]
    texts = rendered(table, comparable=True)
    assert f" {t_d:.0f} " in texts["md"]
    assert f" {paper_values(table).at[first, 't_d']} " in texts["md"]


def test_table_6_prints_what_a_run_differs_in(rendered):
    cells = [line for line in rendered("table6")["md"].splitlines() if line.startswith("| 4M-2048")]
    assert re.match(r"\| 4M-2048 +\| +4,194,304 \| +2,048 \|", cells[0])


def test_a_run_beyond_the_paper_has_no_line_of_it(rendered):
    lines = rendered("table7", comparable=True)["md"].splitlines()
    found = [line for line in lines if line.startswith(("| AdamW", "| C-AdamW", "|  "))]
    assert [("paper" in line, "deviation" in line) for line in found] == [
        (False, False), (True, False), (False, True), (False, False),
    ]  # fmt: skip
    assert "In the paper, but not here: Muon, AdEMAMix." in "\n".join(lines)


@pytest.mark.parametrize("table", ["table5", "table8"])
def test_the_papers_other_values_of_imported_runs_are_explained(rendered, table):
    main = {"table5": "Table 4", "table8": "Table 1"}[table]
    imported = {"imported": ("37M",)}
    said = f"Of 37M, the paper gives other values here than in {main}"
    assert said in rendered(table, comparable=True, **imported)["md"]
    assert said not in rendered(table, **imported)["md"]
    assert said not in rendered(table, comparable=True)["md"]


def test_tables_5_and_8_are_tables_4_and_1_of_other_runs(make):
    study = make(**RUNS["table5"])
    for table, same in (("table5", "table4"), ("table8", "table1")):
        assert made_as(table).rows(study).equals(made_as(same).rows(study))


@pytest.mark.parametrize("table", ["table6", "table7"])
def test_a_break_after_which_the_loss_falls_faster_is_no_deceleration(make, table):
    study = make(**RUNS["table7"])
    rows, notes = made_as("table7").rows(study), made_as(table).notes
    assert not any("No deceleration" in note for note in notes(study, rows))
    rows.loc[1, "c_1"] = 0.01
    (note,) = (note for note in notes(study, rows) if "No deceleration" in note)
    assert "C-AdamW" in note
