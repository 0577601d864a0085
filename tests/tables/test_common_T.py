"""Table 1 at a common T, against fits of curves that are cut by hand."""

import numpy as np
import pandas as pd
import pytest

from zsl.errors import ZslError
from zsl.files import write_json
from zsl.fits.bnsl import fit_bnsl
from zsl.fits.result import fit_curve
from zsl.study import RunInfo, Study, write_csv
from zsl.tables import table1, table1_common, table4

SETTINGS = {"cut": 50, "k": 1.2, "imported": False, "note": ""}
BOOTSTRAP = {"replicates": 40, "block": 0.3, "seed": 0}
LAST = {"a": 20_000, "b": 12_340, "c": 20_007}


@pytest.fixture
def study(tmp_path):
    files, runs = {"fits": [], "train_loss": []}, []
    for position, (label, last) in enumerate(LAST.items()):
        steps = np.array([*range(10, 1000, 10), *range(1000, last, 100), last])
        noise = 0.004 * np.sin(5 * np.log(steps) + position)
        t_d = 700.0 - 50 * position
        loss = (8 - position) * (t_d / steps) ** 0.3 * (1 + (steps / t_d) ** 4.0) ** (0.27 / 4)
        run = f"main-{label}"
        curve = {"run": run, "step": steps, "smoothed_train_loss": loss * np.exp(noise)}
        files["train_loss"].append(tmp_path / f"{run}.csv")
        write_csv(files["train_loss"][-1], pd.DataFrame(curve))
        files["fits"].append(tmp_path / f"{run}.json")
        fit = fit_curve(pd.DataFrame(curve), run=run, **SETTINGS, **BOOTSTRAP)
        write_json(files["fits"][-1], fit)
        runs.append(RunInfo(run, label, False, None))
    return Study("test", False, tuple(runs), {kind: tuple(f) for kind, f in files.items()})


def test_all_rows_are_fits_to_the_same_steps(study):
    rows = table1_common.rows(study)
    assert set(rows["T"]) == {12_300}, "the last step that all three have"
    assert list(rows["T_table1"]) == list(LAST.values())
    for _, row in rows.iterrows():
        curve = study.of_run("train_loss", row["run"])
        curve = curve[(curve["step"] > 50) & (curve["step"] <= 12_300)]
        fit = fit_bnsl(curve["step"].to_numpy(), curve["smoothed_train_loss"].to_numpy())
        assert (row["L_d"], row["t_d"], row["r_d"]) == (fit.L_d, fit.t_d, fit.r_d)
        assert row["L_T"] == curve["smoothed_train_loss"].iloc[-1]
        for name in ("L_d", "t_d", "r_d", "L_hat_T"):
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]


@pytest.mark.parametrize("table", [table1, table4])
def test_tables_1_and_4_have_the_intervals_of_the_fits(study, table):
    rows = table.rows(study)
    names = {table1: ("L_d", "t_d", "r_d", "L_hat_T"), table4: ("b", "c_0", "c_1", "log_d_1")}
    for fit, (_, row) in zip(study.fits(), rows.iterrows(), strict=True):
        for name in names[table]:
            assert [row[f"{name}_low"], row[f"{name}_high"]] == fit["intervals"][name]
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]


def test_without_fits_the_table_says_so(study):
    with pytest.raises(ZslError, match="no run has a fit"):
        table1_common.rows(Study("x", False, study.runs, {**study.files, "fits": ()}))
