"""The numbers in the tables, computed again from the files that they are read from."""

import numpy as np
import pandas as pd
import pytest

from zsl.errors import ZslError
from zsl.tables import table1, table2, table3, table4
from zsl.tables.layout import compared, paper_values


def test_table_2_is_the_loss_of_the_smaller_model_minus_that_of_the_larger(make):
    study = make(steps=(8, 64))
    rows = table2.rows(study).set_index("label")
    files = {path.stem: pd.read_csv(path).set_index("step") for path in study.files["eval_loss"]}
    for small, large in (("14M", "37M"), ("37M", "78M")):
        for t in (8, 64):
            both = [files[f"main-{label}"].at[t, "eval_loss"] for label in (small, large)]
            assert rows.at[f"{small} -> {large}", f"t_{t}"] == pytest.approx(both[0] - both[1])
            assert rows.at[f"{small} -> {large}", f"t_{t}"] > 0


def test_table_2_leaves_a_pair_out_rather_than_joining_its_neighbours(make):
    study = make(labels=("14M", "37M", "78M", "tiny"), imported=("37M",))
    assert list(table2.rows(study)["label"]) == ["78M -> tiny"]
    assert table2.expected(study) == ["14M -> 37M", "37M -> 78M", "78M -> tiny"]


def test_table_2_has_no_value_where_one_of_both_has_none(make):
    study = make(lacking={("37M", 4096)})
    rows = table2.rows(study)
    assert rows["t_4096"].isna().all() and rows["t_32"].notna().all()
    (note,) = table2.notes(study, rows)
    assert "t = 4096" in note and "14M -> 37M" in note and "37M -> 78M" in note


def test_table_2_without_any_pair_says_what_to_change(make):
    with pytest.raises(ZslError, match=r"tables\.table2_steps"):
        table2.rows(make(labels=("14M", "37M"), imported=("37M",)))


def test_table_3_has_the_width_of_the_mlp_and_the_exact_number_of_parameters(make):
    rows = table3.rows(make()).set_index("label")
    assert rows.at["37M", "mlp_dim"] == 3 * 512
    assert rows.at["37M", "n_parameters"] == 14_319_617
    assert rows.at["37M", "warmup"] == 2000 and rows.at["37M", "peak_lr"] == 1.26e-3


def test_table_3_has_no_row_for_an_imported_run(make):
    assert list(table3.rows(make(imported=("37M",)))["label"]) == ["14M", "78M"]
    with pytest.raises(ZslError, match="imported"):
        table3.rows(make(labels=("14M",), imported=("14M",)))


@pytest.mark.parametrize("module", [table1, table4])
def test_without_fits_a_table_says_so(make, module):
    with pytest.raises(ZslError, match="no run has a fit"):
        module.rows(make(labels=("14M",), without=("14M",)))


def test_without_comparability_nothing_of_the_paper_is_shown(make):
    study = make(comparable=False)
    rows = table1.rows(study)
    assert list(compared("table1", study, rows, table1.columns(study))) == list(rows)


def test_the_papers_tables_agree_with_each_other():
    one, two, three, four = (paper_values(f"table{n}") for n in (1, 2, 3, 4))
    assert list(one.index) == list(three.index) == list(four.index)
    assert two.index[0] == "14M -> 37M" and list(two) == ["t = 32", "t = 4096", "t = 8192"]
    assert np.exp(four["log(d_1)"]).to_numpy() == pytest.approx(one["t_d"].to_numpy(), rel=0.012)
    assert (four["c_0"] + four["c_1"]).to_numpy() == pytest.approx(one["r_d"].to_numpy(), abs=0.011)
    predicted = one["L_d"] * (one["t_d"] / 2**18) ** one["r_d"]
    assert predicted["14M":"285M"].to_numpy() == pytest.approx(
        one.loc["14M":"285M", "L_hat_T"].to_numpy(), abs=0.015
    )
