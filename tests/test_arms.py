"""Arms against a baseline: the statistics by another road each."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_rel

from zsl.arms import against_placebo, compare, holm, last, late, per_seed
from zsl.study import RunInfo, Study


def values(y):
    """Rows of arms a, b, c ... with the seeds of ``y`` (arms, seeds)."""
    rows = [("abcdefgh"[i], seed, v) for i, arm in enumerate(y) for seed, v in enumerate(arm)]
    return pd.DataFrame(rows, columns=["arm", "seed", "value"])


def test_two_arms_are_the_paired_t_test():
    y = np.random.default_rng(0).normal(size=(2, 4)) + np.array([1.0, -3, 0, 7])
    (row,) = compare(values(y), {"b": "a"}).to_dict("records")
    truth = ttest_rel(y[1], y[0])
    ends = truth.confidence_interval()
    assert row["difference"] == pytest.approx((y[1] - y[0]).mean())
    assert (row["low"], row["high"]) == pytest.approx((ends.low, ends.high))
    assert row["p"] == row["p_holm"] == pytest.approx(truth.pvalue)


def test_several_arms_are_least_squares_with_seeds_as_blocks():
    y = np.random.default_rng(1).normal(size=(4, 3)) + np.array([5.0, 0, -2])
    design, target = [], []
    for arm, seed in np.ndindex(y.shape):
        design.append([*(arm == np.arange(1, 4)), *(seed == np.arange(3))])
        target.append(y[arm, seed])
    X, z = np.array(design, float), np.array(target)
    effects, squares, *_ = np.linalg.lstsq(X, z, rcond=None)
    freedom = len(z) - X.shape[1]
    covariance = squares[0] / freedom * np.linalg.inv(X.T @ X)
    found = compare(values(y), {"b": "a", "c": "a", "d": "a"})
    for position, row in enumerate(found.to_dict("records")):
        effect, error = effects[position], covariance[position, position] ** 0.5
        half = student.ppf(0.975, freedom) * error
        assert row["difference"] == pytest.approx(effect)
        assert (row["low"], row["high"]) == pytest.approx((effect - half, effect + half))
        assert row["p"] == pytest.approx(2 * student.sf(abs(effect) / error, freedom))


def test_what_a_seed_does_to_all_arms_is_no_noise():
    y = np.random.default_rng(2).normal(size=(3, 3))
    one = compare(values(y), {"b": "a", "c": "a"})
    other = compare(values(y + np.array([100.0, 0, -50])), {"b": "a", "c": "a"})
    columns = ["difference", "low", "high", "p"]
    np.testing.assert_allclose(one[columns], other[columns], rtol=1e-9)


def test_holm_is_the_closed_test_of_bonferroni():
    """Adjusted p of a hypothesis: the largest Bonferroni p of any set that it is in."""
    p = np.array([0.04, 0.001, 0.3, 0.012, 0.9])
    sets = [s for n in range(1, 6) for s in itertools.combinations(range(5), n)]
    brute = [max(min(1, len(s) * min(p[list(s)])) for s in sets if i in s) for i in range(5)]
    assert holm(p) == pytest.approx(brute)
    with_gap = holm(np.array([0.04, np.nan, 0.001]))
    assert with_gap[[0, 2]] == pytest.approx([0.04, 0.002]) and np.isnan(with_gap[1])


def test_arms_without_a_value_and_seeds_without_a_spread():
    y = np.array([[1.0, 2, 3], [2, np.nan, 3], [5, 6, 7]])
    found = compare(values(y), {"b": "a", "c": "a"})
    assert found["arm"].tolist() == ["c"] and found["difference"].tolist() == [4.0]
    assert np.isnan(found["p"][0]) or found["p"][0] < 1e-9
    single = compare(values(y[:, :1]), {"c": "a"})
    assert single["difference"].tolist() == [4.0]
    assert single[["low", "high", "p", "p_holm"]].isna().all(axis=None)
    assert compare(values(np.full((2, 2), np.nan)), {"b": "a"}).empty


def test_late_values_are_of_the_last_quarter_of_the_steps():
    table = pd.DataFrame({"run": "a", "step": [0, 64, 256, 512, 1024], "x": [9.0, 9, 1, 2, 6]})
    other = pd.DataFrame({"run": "b", "step": [0, 4], "x": [3.0, 5]})
    both = pd.concat([other, table.iloc[::-1]])
    assert late(both, "x") == {"a": 3.0, "b": 5.0}
    assert last(both, "x") == {"a": 6.0, "b": 5.0}


def test_seeds_stand_in_their_order_and_placebos_by_dose():
    def arm(label, **made):
        return RunInfo(f"mitigation-{label}", label, False, 1, {"intervention": made or None})

    runs = (
        arm("baseline"),
        arm("half", name="agreement", gamma=0.5, every=1),
        arm("one", name="agreement", gamma=1.0, every=1),
        arm("rare", name="agreement", gamma=0.5, every=4),
        arm("placebo", name="placebo", gamma=0.5, every=1, seed=0),
    )
    assert against_placebo(runs) == {"half": "placebo"}
    seeds = {"mitigation-half": ["mitigation-half_seed2"]}
    study = Study("x", False, runs, {}, seeds=seeds)
    found = per_seed(study, "mitigation", {"mitigation-half": 1.0, "mitigation-half_seed2": 2.0})
    assert found[found["arm"] == "half"][["seed", "value"]].values.tolist() == [[0, 1], [1, 2]]
    assert found["value"].isna().sum() == 4
