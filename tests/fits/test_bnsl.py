import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import curve_fit, minimize

import zsl.tables
from zsl.errors import FitError
from zsl.fits.bnsl import F_RANGE, NAMES, fit_bnsl
from zsl.fits.result import fit_curve

PAPER = Path(zsl.tables.__file__).parent / "paper"
BOOTSTRAP = {"replicates": 40, "block": 0.3, "seed": 0}
TRUTHS = [
    (18.4, 0.17, -0.16, 8.7, 0.2),
    (26.0, 0.27, -0.23, 8.2, 0.76),
    (12.0, 0.18, -0.17, 7.4, 0.7),
]


def equation_1(t, b, c_0, c_1, log_d_1, f_1):
    """Eq. 1 with a = 0 as it is printed."""
    return b * t**-c_0 * (1 + (t / np.exp(log_d_1)) ** (1 / f_1)) ** (-c_1 * f_1)


def steps():
    return np.array(
        [*range(110, 1000, 10), *range(1000, 10_000, 100), *range(10_000, 262_145, 1000)]
    )


@pytest.mark.parametrize("truth", TRUTHS)
def test_exact_curves_give_their_parameters_back(truth):
    fit = fit_bnsl(steps(), equation_1(steps().astype(float), *truth))
    np.testing.assert_allclose(fit.parameters, truth, rtol=1e-8)
    assert fit.RSLE < 1e-10 and fit.break_inside


@pytest.mark.parametrize("truth", TRUTHS)
def test_optimum_and_errors_equal_those_of_an_independent_fit(truth):
    """scipy's curve_fit of the five-parameter problem in b, started at the truth."""
    generator = np.random.default_rng(3)
    t = steps().astype(float)
    y = equation_1(t, *truth) * np.exp(generator.normal(0, 0.01, len(t)))

    def log_model(x, b, c_0, c_1, log_d_1, f_1):
        return np.log(b) - c_0 * x - c_1 * f_1 * np.logaddexp(0, (x - log_d_1) / f_1)

    popt, pcov = curve_fit(log_model, np.log(t), np.log(y), p0=truth, xtol=1e-14, ftol=1e-14)
    fit = fit_bnsl(t, y)
    np.testing.assert_allclose(fit.parameters, popt, rtol=1e-5)
    np.testing.assert_allclose(fit.errors, np.sqrt(np.diag(pcov)), rtol=1e-3)
    residuals = np.log(y) - log_model(np.log(t), *fit.parameters)
    assert pytest.approx(np.sqrt((residuals**2).mean()), rel=1e-10) == fit.RSLE
    np.testing.assert_allclose(fit.log_loss(t), log_model(np.log(t), *fit.parameters), rtol=1e-12)


def test_no_other_start_finds_a_better_fit():
    generator = np.random.default_rng(5)
    t = steps().astype(float)
    y = equation_1(t, 18.0, 0.2, -0.17, 8.0, 0.5) * np.exp(generator.normal(0, 0.02, len(t)))
    fit = fit_bnsl(t, y)

    def error(p):
        b, c_0, c_1, log_d_1, log_f = p
        model = b - c_0 * np.log(t)
        model -= c_1 * np.exp(log_f) * np.logaddexp(0, (np.log(t) - log_d_1) / np.exp(log_f))
        return ((np.log(y) - model) ** 2).mean()

    for log_d in (5.5, 7.0, 8.5, 10.0):
        for log_f in (-3.0, -1.0, 0.0):
            other = minimize(
                error,
                [3, 0.2, -0.15, log_d, log_f],
                method="Nelder-Mead",
                options={"maxfev": 4000, "xatol": 1e-8, "fatol": 1e-14},
            )
            assert np.sqrt(other.fun) * (1 + 1e-6) >= fit.RSLE


def least_error(t, y, log_d_1, f_1):
    """Root mean squared error of the best (log b, c_0, c_1), by solving for them."""
    x = np.log(t)
    design = np.column_stack([np.ones_like(x), x, np.logaddexp(0, (x - log_d_1) / f_1)])
    residuals = np.log(y) - design @ np.linalg.lstsq(design, np.log(y), rcond=None)[0]
    return np.sqrt((residuals**2).mean())


@pytest.mark.parametrize(
    ("truth", "frequency", "phase"), [(TRUTHS[0], 3, 0), (TRUTHS[1], 2, 4.71), (TRUTHS[2], 3, 4.71)]
)
def test_a_misfit_that_is_no_noise_is_searched_to_its_minimum(truth, frequency, phase):
    """Smoothed curves have one, and steps that ignore its curvature swing around the minimum."""
    t = steps().astype(float)
    misfit = 0.03 * np.sin(frequency * np.log(t) + phase)
    y = equation_1(t, *truth) * np.exp(misfit)
    fit = fit_bnsl(t, y)
    best = minimize(
        lambda p: least_error(t, y, *p),
        [fit.log_d_1, fit.f_1],
        method="Nelder-Mead",
        options={"maxfev": 4000, "xatol": 1e-10, "fatol": 1e-16},
    )
    assert pytest.approx(best.fun, rel=1e-10) == fit.RSLE
    np.testing.assert_allclose([fit.log_d_1, fit.f_1], best.x, rtol=1e-5)


def test_at_the_edge_of_the_range_of_f_1_the_break_is_still_the_best():
    t = steps().astype(float)
    y = np.exp(np.log(t) ** 2 * -0.004 + 2)
    fit = fit_bnsl(t, y)
    assert fit.f_1 == pytest.approx(F_RANGE[1])
    scan = [least_error(t, y, log_d, fit.f_1) for log_d in np.linspace(8, 10, 2001)]
    assert pytest.approx(min(scan), rel=1e-6) == fit.RSLE


def test_deceleration_measurements_follow_from_the_segments():
    """L_d, t_d: where the asymptotes of Eq. 1 meet; Eq. 2 is the second asymptote."""
    truth = TRUTHS[0]
    fit = fit_bnsl(steps(), equation_1(steps().astype(float), *truth))
    b, c_0, c_1, log_d_1, _ = truth
    d_1 = np.exp(log_d_1)
    assert fit.t_d == pytest.approx(d_1, rel=1e-7)
    assert fit.L_d == pytest.approx(b * d_1**-c_0, rel=1e-8)
    assert fit.r_d == pytest.approx(c_0 + c_1, rel=1e-6)
    far = 1e9
    assert fit.L_hat(far) == pytest.approx(equation_1(far, *truth), rel=1e-6)


def test_scaling_the_losses_scales_b_and_nothing_else():
    generator = np.random.default_rng(8)
    t = steps().astype(float)
    y = equation_1(t, *TRUTHS[1]) * np.exp(generator.normal(0, 0.01, len(t)))
    one, two = fit_bnsl(t, y), fit_bnsl(t, 2 * y)
    assert two.b == pytest.approx(2 * one.b, rel=1e-9)
    np.testing.assert_allclose(two.parameters[1:], one.parameters[1:], rtol=1e-8)


def test_a_curve_without_a_break_is_said_to_have_none():
    t = steps().astype(float)
    y = np.exp(np.log(t) ** 2 * -0.004 + 2)  # ever steeper, no two segments
    fit = fit_bnsl(t, y)
    assert np.isfinite(fit.parameters).all()
    assert not fit.break_inside


@pytest.mark.parametrize(
    ("t", "y", "message"),
    [
        ([1, 2, 3], [3.0, 2.0, 1.0], "3 points cannot be fitted"),
        ([1, 2, 3, 4, 5, 5], [3.0, 2.0, 1.0, 1.0, 1.0, 1.0], "5 points cannot be fitted"),
        ([1, 2, 3, 4, 5, 6], [3.0, 2.0, 1.0, 1.0, 0.0, 1.0], "loss 0.0 at point 4"),
        ([0, 2, 3, 4, 5, 6], [3.0, 2.0, 1.0, 1.0, 1.0, 1.0], "step 0.0 at point 0"),
        ([1, 2, 3, 4, 5, 6], [3.0, np.nan, 1.0, 1.0, 1.0, 1.0], "loss nan at point 1"),
    ],
)
def test_what_cannot_be_fitted_is_named(t, y, message):
    with pytest.raises(FitError, match=message):
        fit_bnsl(np.array(t), np.array(y))


def test_result_records_T_and_the_cut():
    t = np.arange(10, 5000, 10)
    y = equation_1(t.astype(float), *TRUTHS[2])
    curve = pd.DataFrame({"step": t, "smoothed_train_loss": y})
    fit = fit_curve(curve, run="main-x", cut=100, k=1.2, imported=False, note="", **BOOTSTRAP)
    assert (fit["T"], fit["cut"], fit["n_points"]) == (4990, 100, 489)
    assert fit["bootstrap"] == {**BOOTSTRAP, "failed": 0}
    for name in ("L_d", "t_d", "r_d", "L_hat_T"):
        assert fit["intervals"][name] == pytest.approx([fit[name]] * 2, rel=1e-8), "no noise"
    assert fit["L_T"] == y[-1]
    assert list(fit["parameters"]) == list(NAMES)
    json.dumps(fit, allow_nan=False)


def rows(table):
    with (PAPER / f"{table}.csv").open() as file:
        return {row["Model"]: row for row in csv.DictReader(file)}


def test_published_curves_give_the_printed_tables(published):
    """Every printed digit of Tables 1 and 4, but t_d of 144M: the fit gives 6074."""
    curves = json.loads((published / "bnsl_fit.json").read_text())
    assert len(curves) >= 6
    table1, table4 = rows("table1"), rows("table4")
    for model, curve in curves.items():
        table = pd.DataFrame(
            {
                "step": curve["smoothed_loss"]["x"],
                "smoothed_train_loss": curve["smoothed_loss"]["y"],
            }
        )
        fit = fit_curve(table, run=model, cut=100, k=1.2, imported=True, note="", **BOOTSTRAP)
        assert fit["T"] == curve["smoothed_loss"]["x"][-1]
        t_d = "6100" if model == "144M" else table1[model]["t_d"]
        assert f"{round(fit['t_d'], -2):.0f}" == t_d, model
        for name, digits in (("L_d", 2), ("r_d", 3), ("L_hat_T", 2), ("L_T", 2)):
            assert f"{fit[name]:.{digits}f}" == table1[model][name], (model, name)
        for ours, theirs in zip(NAMES, ("b", "c_0", "c_1", "log(d_1)", "f_1"), strict=True):
            assert f"{fit['parameters'][ours]:.2f}" == table4[model][theirs], (model, ours)
            assert f"{fit['errors'][ours]:.2f}" == table4[model][f"{theirs}_err"], (model, ours)
        assert f"{fit['RSLE']:.3f}" == table4[model]["RSLE"]
    assert fit_f_1(curves["285M"]) == pytest.approx(0.444996, abs=5e-7)


def fit_f_1(curve):
    x, y = (np.array(curve["smoothed_loss"][axis]) for axis in "xy")
    return fit_bnsl(x[x > 100], y[x > 100]).f_1
