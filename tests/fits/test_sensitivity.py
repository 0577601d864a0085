"""Refits with one choice changed, against fits made directly."""

import numpy as np
import pandas as pd
import pytest

from zsl.curves.sensitivity import COLUMNS, SMOOTHINGS, sensitivity
from zsl.curves.train_loss import train_loss_curve
from zsl.fits.bnsl import fit_bnsl
from zsl.study import write_csv

SETTINGS = {"cut": 50, "k": 1.2, "first": 10}


@pytest.fixture
def run(tmp_path):
    """The step records of a run with a break at 400 and its smoothed curve."""
    steps = np.arange(1, 4097)
    loss = 12 * steps**-0.2 * (1 + (steps / 400) ** 4.0) ** (0.16 / 4)
    noisy = loss * np.exp(np.random.default_rng(0).normal(0, 0.02, len(steps)))
    files = []
    for low, high in ((0, 1024), (1024, 4096)):
        files.append(tmp_path / f"{low}.steps.csv")
        table = {"step": steps[low:high], "train_loss": noisy[low:high]}
        write_csv(files[-1], pd.DataFrame(table))
    return files, train_loss_curve("main-x", files, 1.2, 10)


def direct(curve, T, cut):
    used = curve[(curve["step"] > cut) & (curve["step"] <= T)]
    return fit_bnsl(used["step"].to_numpy(), used["smoothed_train_loss"].to_numpy())


def test_every_row_is_a_fit_with_its_choice(run):
    files, curve = run
    table = sensitivity("main-x", curve, files, **SETTINGS)
    assert list(table) == COLUMNS and set(table["run"]) == {"main-x"}
    assert set(table["parameter"]) == {"T", "cut", "k"}
    for _, row in table.iterrows():
        choice = {"T": 4096, "cut": 50, "k": 1.2} | {row["parameter"]: row["value"]}
        fit = direct(train_loss_curve("main-x", files, choice["k"], 10), choice["T"], choice["cut"])
        for name in ("L_d", "t_d", "r_d", "RSLE"):
            assert row[name] == pytest.approx(getattr(fit, name), rel=1e-9)
        assert row["break_inside"] == fit.break_inside


def test_the_choices_of_the_tables_are_among_the_rows(run):
    files, curve = run
    table = sensitivity("main-x", curve, files, **{**SETTINGS, "cut": 52})
    fit = direct(curve, 4096, 52)
    for parameter, value in (("T", 4096), ("cut", 52), ("k", 1.2)):
        (row,) = table[(table["parameter"] == parameter) & (table["value"] == value)].itertuples()
        assert row.L_d == fit.L_d and row.t_d == fit.t_d and row.r_d == fit.r_d


def test_the_range_of_each_choice(run):
    files, curve = run
    table = sensitivity("main-x", curve, files, **SETTINGS).groupby("parameter")["value"]
    ends = table.get_group("T").to_numpy()
    assert ends[0] == 510 and ends[-1] == 4096, "the last kept step up to an eighth"
    assert np.diff(np.log2(ends)) == pytest.approx(0.25, abs=0.06)
    cuts = table.get_group("cut").to_numpy()
    assert cuts[0] == 10 and cuts[-1] == round(direct(curve, 4096, 50).t_d / 4)
    assert sorted(table.get_group("k")) == sorted({*SMOOTHINGS, 1.2})


def test_an_imported_curve_has_no_k(run):
    _, curve = run
    table = sensitivity("main-x", curve.assign(train_loss=np.nan), [], **SETTINGS)
    assert set(table["parameter"]) == {"T", "cut"}


def test_choices_that_leave_too_few_points_have_no_row(run):
    _, curve = run
    short = curve[curve["step"] <= 100]
    table = sensitivity("main-x", short, [], cut=50, k=1.2, first=10)
    ends = table.loc[table["parameter"] == "T", "value"]
    assert ends.min() >= 56, "six points after 50"
    assert len(ends) < 13
