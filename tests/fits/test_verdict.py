"""Why a fit is doubtful, reason by reason, on curves that are Eq. 1 itself."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from zsl.fits.bnsl import Bnsl, fit_bnsl
from zsl.fits.bootstrap import QUANTITIES, Bootstrap
from zsl.fits.verdict import doubts, one_power_law
from zsl.fits.words import sentences

STEPS = np.unique(np.geomspace(101, 60_000, 400).round())
CLEAN = Bnsl(20, 0.2, -0.16, math.log(5000), 0.25, np.zeros((5, 5)), 0.002, 400, True)


def of(fit: Bnsl) -> set[str]:
    return set(doubts(fit, STEPS, np.exp(fit.log_loss(STEPS))))


def test_a_deceleration_is_not_doubtful():
    assert of(CLEAN) == set()
    found = fit_bnsl(STEPS, np.exp(CLEAN.log_loss(STEPS)))
    assert of(found) == set()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"c_1": 0.12}, "acceleration"),
        ({"c_1": -0.21}, "rise"),
        ({"c_1": -0.199, "f_1": 0.03}, "plateau"),
        ({"break_inside": False}, "no_break"),
    ],
)
def test_parameters_that_are_no_deceleration(changed, reason):
    assert of(replace(CLEAN, **changed)) == {reason}


def test_a_gradual_stop_is_a_deceleration():
    assert of(replace(CLEAN, c_1=-0.199)) == set()


def test_an_r_d_below_zero_by_noise_is_no_rise():
    assert of(replace(CLEAN, c_1=-1.015 * CLEAN.c_0)) == set()
    assert of(replace(CLEAN, c_1=-1.025 * CLEAN.c_0)) == {"rise"}


def test_c_1_of_exactly_zero_is_no_deceleration():
    assert "acceleration" in of(replace(CLEAN, c_1=0.0))


def test_the_last_loss_that_the_second_power_law_misses():
    """A break so smooth that the curve has not left it by T."""
    fit = replace(CLEAN, f_1=2.5)
    missed = fit.L_hat(STEPS[-1]) / math.exp(fit.log_loss(STEPS[-1:])[0]) - 1
    assert missed < -0.05 and of(fit) == {"L_hat_T"}


def test_a_fit_has_to_be_better_than_one_power_law():
    losses = np.exp(CLEAN.log_loss(STEPS))
    line = one_power_law(STEPS, losses)
    slope, at_1 = np.polyfit(np.log(STEPS), np.log(losses), 1)
    rest = np.log(losses) - at_1 - slope * np.log(STEPS)
    assert line == pytest.approx(math.sqrt(np.mean(rest**2)))
    for share, reasons in ((0.66, set()), (0.67, {"one_power_law"})):
        assert set(doubts(replace(CLEAN, RSLE=share * line), STEPS, losses)) == reasons


@pytest.mark.parametrize(("failed", "reasons"), [(55, set()), (56, {"replicates"})])
def test_replicates_without_a_break(failed, reasons):
    again = Bootstrap(dict.fromkeys(QUANTITIES, np.full(100, 5000.0)), failed=failed, blocks=20)
    losses = np.exp(CLEAN.log_loss(STEPS))
    assert set(doubts(CLEAN, STEPS, losses, again)) == reasons


def test_a_sentence_names_the_run_and_the_first_reason():
    fits = [
        {"run": "main-a", "doubts": {}},
        {"run": "main-b-2", "doubts": {"rise": "r_d", "one_power_law": "one power law does"}},
    ]
    assert sentences(fits[:1]) == []
    (said,) = sentences(fits)
    assert said.endswith(": b-2, one power law does (also: rise).")
