"""What README.md and docs/mini.md say in words holds in mini's results."""

from __future__ import annotations

import re

import numpy as np
import pytest
from values import ROOT, after, orders, plan, rest, share_read

from zsl.registry import TARGETS

CHANCE = 3.5
"""Standard errors that the best of some hundred accuracies at chance may be above it."""


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
    assert mini.sizes.is_monotonic_increasing
    return mini.main


HELD = (
    "These claims hold on four seeds of the largest size "
    "that the choice of the experiment did not see"
)
"""README.md of all claims that the figures judge: of those of Figs 3, 4, 7, 9, 10 and 14."""


@pytest.mark.parametrize("target", [t for t in TARGETS if t.claims], ids=lambda target: target.id)
def test_every_claim_holds_and_is_quoted(mini, target):
    says("README.md", HELD)
    page = (ROOT / "docs/mini.md").read_text(encoding="utf-8")
    for n, claim in enumerate(mini.claims(target.id)):
        judged = claim[claim["seeds"] > 1]
        assert list(judged["holds"]) == ["yes"]
        assert f"<!--= claim {target.id} {n} -->" in page


def test_sharpness_rises_in_the_smallest_model_alone(mini):
    says("README.md", "in the smallest, sharpness rises")
    (claim,) = mini.claims("fig10")
    assert list(claim["value"] > 0) == [False, True, True]


def test_no_seed_of_the_choice_judges():
    says("docs/mini.md", "with seeds 100 to 102")
    seeds = {run.seed for run in plan("config").runs.values()}
    assert not seeds & {100, 101, 102}


def test_fits_are_clean(mini, runs):
    """Root of squared log errors at most 1 %, a break inside, L_d and r_d ordered by every seed."""
    for id in {*runs, *mini.seeds}:
        fit = mini.fit(id)
        assert fit["RSLE"] <= 0.01 and fit["break_inside"] and not fit["doubts"], id
    for id in mini.seeds:
        fits = [mini.fit(run) for run in (*runs[:-1], id)]
        assert (np.diff([fit["L_d"] for fit in fits]) < 0).all(), id
        assert (np.diff([fit["r_d"] for fit in fits]) > 0).all(), id


def test_interference_rises_and_sizes_are_in_order(mini, runs):
    says("README.md", "larger models decelerate at a lower loss and improve faster after it")
    says("README.md", "destructive interference rises with deceleration (Fig. 3)")
    says("docs/mini.md", "L_d falls with size and r_d rises; t_d does not fall from each size")
    says("README.md", "and t_d is not in the paper's order")
    fits = [mini.fit(run) for run in runs]
    for key, sign, ordered in (("L_d", -1, True), ("t_d", -1, False), ("r_d", 1, True)):
        assert (sign * np.diff([fit[key] for fit in fits]) > 0).all() == ordered, key


def test_one_update_improves_fresh_text_little(mini):
    says("docs/mini.md", "One update** still improves a batch of fresh text little")
    assert after(mini, "fig11")["cos"].abs().max() < 0.1
    assert after(mini, "fig16")["D_eval"].min() > 0.9


def test_the_first_step_does_not_decide_the_order_of_sizes(mini):
    says("docs/mini.md", "all but the earliest")
    falls = orders(mini, "L_d", -1)
    assert falls == sorted(falls) and np.mean(falls) > 0.5
    assert all(orders(mini, "r_d", 1)) and not all(orders(mini, "t_d", -1))


def test_the_rise_at_deceleration_is_within_groups_of_one_frequency(mini):
    says("docs/mini.md", "the rise at deceleration is within groups of one frequency")
    rows = mini.csv("figures/breakdown.csv")
    rows = rows[rows["by"] == "frequency"]
    for run, of_run in rows.groupby("run"):
        rising = of_run[of_run["step"] >= mini.fit(run)["t_d"] / 4]
        within, whole = (rising[rising["part"] == part]["D"] for part in ("within", "total"))
        assert (within.to_numpy() > 0.9 * whole.to_numpy()).all(), run


def test_no_text_is_read_twice(mini):
    says("README.md", "of them once")
    assert share_read(mini) <= 1


def test_accuracy_is_at_chance(mini):
    says("README.md", "accuracy on downstream tasks stays at chance")
    says("docs/mini.md", "accuracy on downstream tasks: at chance")
    rows = mini.csv("figures/fig17.csv")
    assert ((rows["accuracy"] - rows["chance"]) / rows["se"]).max() < CHANCE


def test_optimizers_differ_in_their_rest(mini):
    says("docs/mini.md", "differences between optimizers here are largely differences in that rest")
    muon, cautious, *slow = (rest(mini, name) for name in ("Muon", "C-AdamW", "AdamW", "AdEMAMix"))
    assert muon < cautious < min(slow)


def test_the_ablations_have_fewer_sizes():
    says("README.md", "fewer sizes than the paper's")
    says("docs/mini.md", "have fewer sizes than the paper's")
    for suite in ("main", "cosine"):
        assert len(plan("config").run_ids(suite)) < len(plan("paper").run_ids(suite))


def test_runs_and_files_in_examples_exist():
    text = (ROOT / "docs/measurements.md").read_text(encoding="utf-8")
    runs = set(re.findall(r"\bmain-\w+", text))
    assert runs
    for run in runs:
        layout = plan("config").layout(run)
        assert set(re.findall(r"\d{8}-\d{8}", text)) <= {s.name for s in layout.segments}
        assert set(map(int, re.findall(r"step(\d{8})", text))) <= set(layout.checkpoints)
