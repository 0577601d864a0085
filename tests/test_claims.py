import numpy as np
import pandas as pd
import pytest
from scipy import stats

from zsl.claims import Claim, interval, sentences, verdicts
from zsl.files import write_json
from zsl.study import make_study


@pytest.fixture
def study(tmp_path):
    """Runs a (three seeds), b (one) and an imported one, each with a fit."""
    runs = ["main-a", "main-b", "main-c", "seeds-a_1", "seeds-a_2"]
    for number, run in enumerate(runs, start=1):
        write_json(tmp_path / f"{run}.json", {"run": run, "t_d": 10 * number, "doubts": {}})
    values = {
        "experiment": "tiny",
        "comparable": False,
        "runs": [
            {"id": id, "label": id[-1], "imported": id == "main-c", "n_parameters": 1}
            for id in runs[:3]
        ],
        "seeds": {"main-a": ["seeds-a_1", "seeds-a_2"]},
    }
    return make_study(values, {"fits": [str(tmp_path / f"{run}.json") for run in runs]})


def claim(values, bound=0.0):
    return Claim("it holds", "a value", bound, lambda study, run, t_d: values[run])


def judged(study, a, b=1.0, bound=0.0):
    values = dict(zip(("main-a", "seeds-a_1", "seeds-a_2"), a, strict=True)) | {"main-b": b}
    return verdicts("fig99", [claim(values, bound)], study).set_index("label")


def test_the_interval_is_students():
    sample = np.array([0.1, 0.5, 0.2])
    low, high = interval(sample)
    truth = stats.t.interval(0.95, 2, sample.mean(), stats.sem(sample))
    assert (low, high) == pytest.approx(truth)
    assert np.isnan(interval(np.array([1.0]))).all()


def test_intervals_cover_the_mean_as_often_as_they_say():
    generator = np.random.default_rng(0)
    inside = [low <= 3 <= high for low, high in map(interval, generator.normal(3, 2, (4000, 3)))]
    assert np.mean(inside) == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / 4000) ** 0.5)


def test_a_repeated_run_is_judged_on_its_interval(study):
    assert judged(study, (1.0, 1.1, 0.9)).loc["a", "holds"] == "yes"
    assert judged(study, (-1.0, -1.1, -0.9)).loc["a", "holds"] == "no"
    assert judged(study, (1.0, -0.9, 0.2)).loc["a", "holds"] == "unclear"
    assert judged(study, (1.0, 1.1, 0.9), bound=2.0).loc["a", "holds"] == "no"


def test_a_run_without_repetition_is_judged_on_its_value(study):
    assert judged(study, (1, 1, 1), b=0.1).loc["b", "holds"] == "yes"
    assert judged(study, (1, 1, 1), b=-0.1).loc["b", "holds"] == "no"
    assert judged(study, (1, 1, 1), b=np.nan).loc["b", "holds"] == "unclear"


def test_imported_runs_have_no_verdict_and_the_mean_is_over_seeds(study):
    table = judged(study, (0.0, 1.0, 2.0))
    assert list(table.index) == ["a", "b"]
    assert table.loc["a", "value"] == 1.0
    assert list(table["seeds"]) == [3, 1]


def test_each_run_is_measured_at_its_own_deceleration(study):
    seen = {}
    probe = Claim("s", "m", 0.0, lambda study, run, t_d: seen.setdefault(run, t_d))
    verdicts("fig99", [probe], study)
    assert seen == {"main-a": 10, "main-b": 20, "seeds-a_1": 40, "seeds-a_2": 50}


def test_a_run_with_a_doubtful_fit_is_not_judged(study):
    for run in ("main-b", "seeds-a_2"):
        path = next(path for path in study.files["fits"] if path.stem == run)
        write_json(path, {"run": run, "t_d": 5, "doubts": {"rise": "the loss rises"}})
    table = judged(study, (0.0, 1.0, 99.0))
    assert list(table.index) == ["a"] and table.loc["a", "value"] == 0.5
    assert table.loc["a", "seeds"] == 2


def test_sentences_say_verdict_value_interval_and_bound(study):
    table = judged(study, (1.0, 1.1, 0.9), b=-0.25).reset_index()
    assert sentences(table, "tiny") == [
        "Claim: it holds. In tiny it holds: a value is 1 for a (95 % interval over 3 seeds: "
        "0.75 to 1.2), and with one seed -0.25 for b (it holds above 0)."
    ]


def test_without_repetitions_runs_that_disagree_are_not_decided(study):
    table = pd.DataFrame(judged(study, (1, 1, 1), b=-0.25).reset_index())
    table = table[table["label"] == "b"]
    assert "does not hold: a value is -0.25 for b" in sentences(table, "tiny")[0]
    both = pd.concat([table, table.assign(label="d", value=1.0, holds="yes")])
    assert "is not decided" in sentences(both, "tiny")[0]
