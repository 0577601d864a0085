"""What README.md and docs/mini.md say in words holds in mini's results."""

from __future__ import annotations

import re

import numpy as np
import pytest
from artifacts import ROOT
from derived import after, orders

from zsl.config.load import load
from zsl.figures import render
from zsl.registry import TARGETS

FALLS = 0.05
"""A part of its largest value; what loses less than this stays."""
CHANCE = 3.5
"""Standard errors that the best of some hundred accuracies at chance may be above it."""

SAID = [
    ("that interference is higher after deceleration", "fig03", 0, "yes"),
    ("and so does the interval over seeds", "fig03", 1, "unclear"),
    ("the interval over seeds of one size just includes the contrary.", "fig04", 0, "unclear"),
    ("C_g falls with deceleration, by", "fig07", 0, "unclear"),
    ("it is C_g that makes first-order changes interfere: not in mini.", "fig07", 1, "no"),
    ("Those of Figs 9 and 14 do: first-order changes that predict", "fig09", 0, "yes"),
    ("sharpness falls with deceleration: for the larger models only.", "fig10", 0, "unclear"),
    ("a proxy that behaves as true gradient interference does", "fig14", 0, "yes"),
    ("and underestimates it.", "fig14", 1, "yes"),
]
"""What docs/mini.md says of the claims of a figure, in their order there, and its verdict."""


def shown(page):
    """The text of a page as a reader sees it, on one line."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return " ".join(re.sub(r"<!--.*?-->", "", text).split())


def says(page, words):
    """The words whose truth is tested stand there; change both together."""
    assert words in shown(page)


@pytest.fixture
def runs(mini):
    """Runs of the suite main, from the smallest to the largest."""
    ids = mini.plan.run_ids("main")
    sizes = mini.csv("tables/table3.csv").set_index("run")["n_parameters"]
    assert list(sizes[ids]) == sorted(sizes[ids])
    return ids


def curves(mini, figure, column):
    """What a figure draws, by run: steps and values."""
    rows = mini.curve(figure)
    return {run: (of["step"], of[column].to_numpy()) for run, of in rows.groupby("run")}


@pytest.mark.parametrize(("words", "figure", "claim", "verdict"), SAID)
def test_verdict(mini, words, figure, claim, verdict):
    says("docs/mini.md", words)
    assert mini.claims(figure)[claim].verdict == verdict


def test_something_is_said_of_every_claim():
    expected = [
        (target.id, claim)
        for target in TARGETS
        if target.claims
        for claim in range(len(render.module(target.id).CLAIMS))
    ]
    assert [(figure, claim) for _, figure, claim, _ in SAID] == sorted(expected)


def test_the_shares_of_the_rise_of_interference_lie_around_a_half(mini):
    says("docs/mini.md", "lie around a half, and so does the interval over seeds")
    claim = mini.claims("fig03")[1]
    assert min(claim.values.values()) < 0.5 < max(claim.values.values())
    ((low, high),) = claim.intervals.values()
    assert low < 0.5 < high


def test_interference_rises_and_sizes_are_in_order(mini, runs):
    says("README.md", "Larger models decelerate at a lower loss and improve faster after it")
    says("README.md", "destructive interference rises with deceleration, as in the paper")
    says("docs/mini.md", "L_d falls with size and r_d rises; t_d does not fall from each size")
    says("README.md", "and t_d is not in the paper's order")
    fits = [mini.fit(run) for run in runs]
    for key, sign, ordered in (("L_d", -1, True), ("t_d", -1, False), ("r_d", 1, True)):
        assert (sign * np.diff([fit[key] for fit in fits]) > 0).all() == ordered, key
    assert mini.claims("fig03")[0].verdict == "yes"


def test_gradient_interference_starts_at_its_highest_and_ends_lower(mini):
    says("docs/mini.md", "It starts at its highest and ends lower, for every size")
    for run, (steps, D) in curves(mini, "fig04", "D_proxy").items():
        assert steps.iloc[D.argmax()] <= 2, run
        assert D[-1] < D[0], run


def test_C_g_falls_and_alignment_more(mini):
    says("docs/mini.md", "but alignment, C(u, G) / C(u, g), falls more")
    fall, share = mini.claims("fig07")
    assert min(fall.values.values()) > 0
    assert max(share.values.values()) < 0.5


def test_updates_are_mostly_noise(mini):
    says("docs/mini.md", "drops to a few hundredths")
    says("docs/mini.md", "one step on fresh text barely changes the evaluation loss")
    assert after(mini, "fig11")["cos"].abs().max() < 0.1
    assert after(mini, "fig16")["D_eval"].min() > 0.9


def test_sharpness_falls_for_the_larger_models_only(mini, runs):
    says("docs/mini.md", "It falls for the two larger ones, from a peak before half of t_d")
    says("docs/mini.md", "for the two smaller ones it stays or rises")
    values = mini.claims("fig10")[0].values
    smaller, larger = np.split(np.array([values[run.removeprefix("main-")] for run in runs]), 2)
    assert larger.min() > FALLS
    assert smaller.max() < FALLS
    for run in runs[2:]:
        steps, sharpness = curves(mini, "fig10", "sharpness")[run]
        assert steps.iloc[sharpness.argmax()] < mini.fit(run)["t_d"] / 2


def test_the_first_step_does_not_decide_the_order_of_sizes(mini, runs):
    says("docs/mini.md", "the fits were tried from other first steps, too")
    assert np.mean(orders(mini, "L_d", -1)) > 0.9
    assert all(orders(mini, "r_d", 1)) and not any(orders(mini, "t_d", -1))


def test_fits_of_seeds_lie_far_closer_together_than_intervals(mini):
    says("docs/mini.md", "seeds lie far closer together than that")
    ((run, again),) = mini.plan.seeds.items()
    for key in ("L_d", "t_d", "r_d"):
        low, high = mini.fit(run)["intervals"][key]
        assert np.ptp([mini.fit(id)[key] for id in (run, *again)]) < (high - low) / 10


def test_the_rise_at_deceleration_is_within_groups_of_one_frequency(mini):
    says("docs/mini.md", "the rise at deceleration is within groups of one frequency")
    rows = mini.csv("figures/breakdown.csv")
    rows = rows[rows["by"] == "frequency"]
    for run, of_run in rows.groupby("run"):
        rising = of_run[of_run["step"] >= mini.fit(run)["t_d"] / 4]
        within, whole = (rising[rising["part"] == part]["D"] for part in ("within", "total"))
        assert (within.to_numpy() > 0.9 * whole.to_numpy()).all(), run


def test_accuracy_is_at_chance(mini):
    says("README.md", "accuracy on downstream tasks stays at chance")
    says("docs/mini.md", "accuracy on downstream tasks: at chance")
    rows = mini.curve("fig17")
    assert ((rows["accuracy"] - rows["chance"]) / rows["se"]).max() < CHANCE


def test_optimizers_differ_in_their_rest(mini):
    says("docs/mini.md", "differences between optimizers here are largely differences in that rest")
    from derived import rest

    muon, cautious, *slow = (
        int(rest(mini, name)) for name in ("Muon", "C-AdamW", "AdamW", "AdEMAMix")
    )
    assert muon < cautious < min(slow)


def test_the_ablations_have_fewer_sizes():
    says("README.md", "fewer sizes")
    says("docs/mini.md", "have fewer sizes")
    plan = load([ROOT / "config/config.yaml"])
    models = {
        suite: {plan.runs[id].model for id in plan.run_ids(suite)}
        for suite in plan.experiment.suites
    }
    main = models.pop("main")
    assert max(len(of_suite) for of_suite in models.values()) < len(main)


def test_runs_and_files_in_examples_exist():
    plan = load([ROOT / "config/config.yaml"])
    text = (ROOT / "docs/measurements.md").read_text(encoding="utf-8")
    runs = set(re.findall(r"\bmain-\w+", text))
    assert runs
    for run in runs:
        layout = plan.layout(run)
        assert set(re.findall(r"\d{8}-\d{8}", text)) <= {s.name for s in layout.segments}
        assert set(map(int, re.findall(r"step(\d{8})", text))) <= set(layout.checkpoints)
