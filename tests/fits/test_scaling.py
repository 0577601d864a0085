"""The scaling law against exact laws, polyfit and the authors' curves."""

import json

import numpy as np
import pandas as pd
import pytest

from zsl.errors import FitError
from zsl.fits.common import common_step, fitted_part, refit
from zsl.fits.scaling import fit_law, left_out

SIZES = np.array([14_319_616, 37_289_984, 77_561_856, 143_785_984, 284_884_992, 472_121_344.0])


def exact(N):
    return 13.0 * N**-0.07, 5800 - 2e-6 * N, 3e-4 * N**0.24


def test_an_exact_law_is_found_and_predicts_a_size_that_it_has_not_seen():
    law = fit_law(SIZES, *exact(SIZES))
    assert law.L_d.slope == pytest.approx(-0.07) and np.exp(law.L_d.intercept) == pytest.approx(13)
    assert law.t_d.slope == pytest.approx(-2e-6) and law.t_d.intercept == pytest.approx(5800)
    assert law.r_d.slope == pytest.approx(0.24)
    assert law.L_d.slope_error == pytest.approx(0, abs=1e-9)
    L_d, t_d, r_d = exact(1e9)
    T = 262_144.0
    assert law.loss(1e9, T) == pytest.approx(L_d * (t_d / T) ** r_d)
    N_T = np.full(len(SIZES), T)
    L_d, t_d, r_d = exact(SIZES)
    assert left_out(SIZES, *exact(SIZES), N_T) == pytest.approx(L_d * (t_d / T) ** r_d)


def test_lines_and_errors_are_those_of_ordinary_least_squares():
    generator = np.random.default_rng(0)
    L_d, t_d, r_d = (each * np.exp(generator.normal(0, 0.02, 6)) for each in exact(SIZES))
    law = fit_law(SIZES, L_d, t_d, r_d)
    for line, x, y in (
        (law.L_d, np.log(SIZES), np.log(L_d)),
        (law.t_d, SIZES / 1e8, t_d),
        (law.r_d, np.log(SIZES), np.log(r_d)),
    ):
        unit = 1e8 if line is law.t_d else 1.0
        design = np.column_stack([np.ones(6), x])
        solved = np.linalg.solve(design.T @ design, design.T @ y)
        variance = ((y - design @ solved) ** 2).sum() / 4 * np.linalg.inv(design.T @ design)
        assert [line.intercept, line.slope * unit] == pytest.approx(solved, rel=1e-9)
        errors = np.sqrt(np.diag(variance))
        assert [line.intercept_error, line.slope_error * unit] == pytest.approx(errors, rel=1e-8)


def test_the_size_left_out_has_no_part_in_its_prediction():
    T = np.full(6, 262_144.0)
    L_d, t_d, r_d = exact(SIZES)
    wrong = L_d.copy()
    wrong[2] *= 2
    one, two = left_out(SIZES, L_d, t_d, r_d, T), left_out(SIZES, wrong, t_d, r_d, T)
    assert one[2] == two[2]
    assert (one[[0, 1, 3, 4, 5]] != two[[0, 1, 3, 4, 5]]).all()


def test_too_few_sizes_have_no_law():
    L_d, t_d, r_d = exact(SIZES[:3])
    assert fit_law(SIZES[:3], L_d, t_d, r_d) is not None
    assert fit_law(SIZES[:3], L_d, t_d, [0.01, 0.02, -0.01]) is None, "log of a negative rate"
    assert fit_law(SIZES[[0, 0, 1]], L_d, t_d, r_d) is None, "one size twice"
    assert np.isnan(left_out(SIZES[:3], L_d, t_d, r_d, np.full(3, 1e5))).all()


def test_no_loss_where_the_line_of_t_d_is_below_zero():
    law = fit_law(SIZES, *exact(SIZES))
    assert np.isnan(law.loss(np.array([1e10]), np.array([1e5]))).all()


def curve(steps, run="main-x"):
    steps = np.asarray(steps)
    return pd.DataFrame({"run": run, "step": steps, "smoothed_train_loss": 10.0 * steps**-0.1})


def test_the_common_step_is_the_last_that_all_curves_have():
    assert common_step([curve([1, 5, 10, 13]), curve([1, 5, 10, 20])]) == 10
    assert common_step([curve([1, 5, 9]), curve([2, 6, 12])]) == 9, "none: the shortest one's"


def test_the_fitted_part_leaves_out_the_cut_and_keeps_T():
    steps, losses = fitted_part(curve(range(1, 31)), T=20, cut=5)
    assert steps.tolist() == list(range(6, 21)) and losses[-1] == pytest.approx(10 * 20**-0.1)
    with pytest.raises(FitError, match=r"main-x, T = 7: 2 points"):
        refit(curve(range(1, 31)), T=7, cut=5)


@pytest.fixture(scope="module")
def published_fits(published):
    """Refits of the six published curves at their common T, and the losses there."""
    models = json.loads((published / "bnsl_fit.json").read_text())
    curves = {}
    for name, model in models.items():
        steps, losses = model["smoothed_loss"]["x"], model["smoothed_loss"]["y"]
        table = {"run": name, "step": steps, "smoothed_train_loss": losses}
        curves[name] = pd.DataFrame(table)
    T = common_step(curves.values())
    fits = [refit(each, T=T, cut=100) for each in curves.values()]
    L_T = [fitted_part(each, T=T, cut=100)[1][-1] for each in curves.values()]
    return T, fits, np.array(L_T)


def test_published_curves_at_a_common_T_are_ordered_by_size(published_fits):
    T, fits, _ = published_fits
    assert T == 188_000
    assert [f"{fit.L_d:.2f}" for fit in fits] == ["4.07", "3.63", "3.41", "3.29", "3.20", "3.16"]
    rates = ["0.0148", "0.0195", "0.0237", "0.0280", "0.0313", "0.0350"]
    assert [f"{fit.r_d:.4f}" for fit in fits] == rates


def test_the_law_of_the_published_curves(published_fits, capsys):
    T, fits, L_T = published_fits
    L_d, t_d, r_d = (np.array([getattr(f, n) for f in fits]) for n in ("L_d", "t_d", "r_d"))
    law = fit_law(SIZES, L_d, t_d, r_d)
    ends = np.full(6, float(T))
    error = left_out(SIZES, L_d, t_d, r_d, ends) / L_T - 1
    with capsys.disabled():
        for name in ("L_d", "t_d", "r_d"):
            print(f"\n{name}: {getattr(law, name)}", end="")
        print(f"\nerror of L_T, size left out, %: {np.round(100 * error, 1)}")
    assert law.L_d.slope + 3 * law.L_d.slope_error < 0 < law.r_d.slope - 3 * law.r_d.slope_error
    assert abs(law.loss(SIZES, ends) / L_T - 1).max() < 0.05
    assert abs(error).max() < 0.1
