"""Explanations name the first causes, not what follows from them, and end in one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_records import MODEL, Jobs, experiment, rewrite

from zsl.audit.explain import Explanation, explain, explain_experiments, matched
from zsl.audit.tree import records_of
from zsl.cli import main
from zsl.lineage.store import Records, read_records

CHANGED = MODEL.replace("x * 2", "x * 3")


@pytest.fixture(scope="module")
def a(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return experiment(tmp_path_factory.mktemp("a") / "results" / "small")


def other(tmp_path: Path, **how: Any) -> Path:
    return experiment(tmp_path / "results" / "small", **how)


def of(a: Path, b: Path, name: str = "fig03", second: str = "") -> Explanation:
    sides = (read_records(a), read_records(b))
    roots = [one(side, each) for side, each in zip(sides, (name, second or name), strict=True)]
    return explain([(roots[0], roots[1])], sides)


def one(records: Records, name: str) -> Any:
    (path,) = records_of(name, records, Path("/"))
    return records.current[path]


def said(found: Explanation) -> list[str]:
    return [str(cause.change) for cause in found.causes]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["explain", *arguments]) == 0
    return capsys.readouterr().out


def test_a_setting_is_the_only_cause_and_the_rest_is_counted(a: Path, tmp_path: Path) -> None:
    found = of(a, other(tmp_path, rates={"main-1k": 0.02}))
    (cause,) = found.causes
    assert str(cause.change) == "setting run.learning_rate: 0.01 -> 0.02"
    assert cause.steps == ("training/main-1k/00-32", "training/main-1k/32-64")
    assert found.n_consequences == 3  # curve, fit, figure
    assert not found.same
    assert not found.without_effect


def test_a_seed_is_said_to_be_one(a: Path, tmp_path: Path) -> None:
    found = of(a, other(tmp_path, seeds={"main-1k": 5}))
    assert said(found) == ["seed run.seed: 0 -> 5"]


def test_a_function_of_a_module(a: Path, tmp_path: Path) -> None:
    found = of(a, other(tmp_path, fit={"modules": {"zsl.model": CHANGED}}))
    (cause,) = found.causes
    assert str(cause.change) == "module zsl.model: loss changed"
    assert cause.steps == ("fits/main-1k", "fits/main-2k")


def test_diff_shows_the_definition_that_changed_and_no_other(
    a: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    b = other(tmp_path, fit={"modules": {"zsl.model": CHANGED}})
    shown = run(capsys, str(a / "fig03"), str(b / "fig03"), "--diff")
    assert "-    return x * 2" in shown
    assert "+    return x * 3" in shown
    assert "width" not in shown
    assert "x * 2" not in run(capsys, str(a / "fig03"), str(b / "fig03"))


def test_the_version_of_a_package(a: Path, tmp_path: Path) -> None:
    params = {"settings": {"cut": 32}, "packages": {"numpy": "2.0.0"}}
    found = of(a, other(tmp_path, fit={"params": params}))
    assert said(found) == ["package numpy: 1.26.4 -> 2.0.0"]
    assert not found.circumstances


def test_another_build_of_a_package_under_one_pin(a: Path, tmp_path: Path) -> None:
    packages = {"numpy": "1.26.4+other", "rich": "13.9.4"}
    built = {"environment": {"python": "3.11.7", "packages": packages}}
    found = of(a, other(tmp_path, fit=built))
    assert said(found) == ["installed package numpy: 1.26.4 -> 1.26.4+other"]
    assert not found.circumstances


def test_a_mapping_that_was_empty_is_said_by_what_it_holds_now(tmp_path: Path) -> None:
    fits = ({"settings": {"extra": {}}}, {"settings": {"extra": {"tried": 1}}})
    found = of(*(other(tmp_path / str(i), fit={"params": fit}) for i, fit in enumerate(fits)))
    assert said(found) == ["setting settings.extra.tried: nothing -> 1"]


def test_the_same_content_in_other_bytes_is_the_same(a: Path, tmp_path: Path) -> None:
    sides = (other(tmp_path / "1"), other(tmp_path / "2"))
    for results, sha256 in zip(sides, ("0" * 64, "1" * 64), strict=True):
        rewrite_outputs(results, "figures/fig03", sha256)
        record = read_records(results).current["lineage/figures/fig03.json"]
        outputs = [{**entry, "logical_sha256": "2" * 64} for entry in record.content["outputs"]]
        rewrite(results / record.path, outputs=outputs)
    found = of(*sides)
    assert found.same
    assert not found.same_bytes
    assert not of(a, sides[0]).same


def test_raw_text(a: Path, tmp_path: Path) -> None:
    found = of(a, other(tmp_path, corpus="other text"))
    (cause,) = found.causes
    assert (cause.change.kind, cause.change.name) == ("source", "pkg 1.0: a/*.arrow")
    assert cause.steps == ("data/c/manifest",)
    assert found.n_consequences == 9


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"device": {"machine": "x86_64", "cpu": "B"}}, "device cpu: A CPU -> B"),
        ({"threads": {"declared": 4}}, "threads declared: 1 -> 4"),
        ({"environment": {"python": "3.12.0"}}, "python version: 3.11.7 -> 3.12.0"),
    ],
)
def test_where_it_was_made(a: Path, tmp_path: Path, how: dict[str, Any], expected: str) -> None:
    assert said(of(a, other(tmp_path, fit=how))) == [expected]


def test_packages_that_do_not_count_and_commits_are_no_causes(a: Path, tmp_path: Path) -> None:
    how = {
        "environment": {"python": "3.11.7", "packages": {"numpy": "1.26.4", "rich": "14"}},
        "git": {"commit": "1" * 40, "dirty": False},
        "text": "the same",
    }
    same = other(tmp_path / "same", fit={"text": "the same"})
    found = of(same, other(tmp_path, fit=how))
    assert found.causes == found.without_effect == ()
    kinds = {(cause.change.kind, cause.change.name) for cause in found.circumstances}
    assert kinds == {("other package", "rich"), ("git", "commit")}


def test_the_same_bytes_though_a_module_differs(tmp_path: Path) -> None:
    first = other(tmp_path / "1", fit={"text": "same"})
    second = other(tmp_path / "2", fit={"text": "same", "modules": {"zsl.model": CHANGED}})
    found = of(first, second)
    assert found.same
    assert found.same_bytes
    assert not found.causes
    (cause,) = found.without_effect
    assert str(cause.change) == "module zsl.model: loss changed"


def test_what_had_no_effect_is_no_cause_of_what_differs(tmp_path: Path) -> None:
    """Fits are the same whatever their code; the figure differs because of its own threads."""
    first = other(tmp_path / "1", fit={"text": "same"})
    how = {"text": "same", "modules": {"zsl.model": CHANGED}}
    second = other(tmp_path / "2", fit=how)
    rewrite_outputs(second, "figures/fig03", "0" * 64, threads={"declared": 2})
    found = of(first, second)
    assert said(found) == ["threads declared: 1 -> 2"]
    assert [str(cause.change) for cause in found.without_effect] == [
        "module zsl.model: loss changed"
    ]


def rewrite_outputs(results: Path, name: str, sha256: str, **content: Any) -> None:
    """Give a record other digests of its outputs, and other content."""
    record = read_records(results).current[f"lineage/{name}.json"]
    outputs = [{**entry, "sha256": sha256} for entry in record.content["outputs"]]
    rewrite(results / record.path, outputs=outputs, **content)


def test_nothing_recorded_explains_it(
    a: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    b = other(tmp_path, train={"salt": "a race"})
    found = of(a, b)
    assert {cause.change.kind for cause in found.causes} == {"unexplained"}
    assert {cause.steps for cause in found.causes} == {
        ("training/main-1k/00-32",),
        ("training/main-2k/00-32",),
    }
    assert found.n_consequences == 7
    last = run(capsys, str(a / "fig03"), str(b / "fig03")).splitlines()[-1]
    assert last.startswith("Conclusion: they differ, and nothing that is recorded explains it")


def test_runs_differ_by_their_own_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    b = other(tmp_path, rates={"other-1k": 0.5})
    shown = run(capsys, "main-1k", "other-1k", "--results", str(b))
    last = shown.splitlines()[-1]
    assert last == "Conclusion: they differ because of setting run.learning_rate: 0.01 -> 0.5."
    assert "training/main-1k/00-32 | training/other-1k/00-32" in shown


def test_one_record(a: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, str(a / "fig03"), str(a / "figures/fig03.pdf"))
    assert shown.splitlines()[-1] == "Conclusion: they are the same, down to their records."


def test_files_of_jobs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of several outputs of two jobs only those that are named are compared."""
    sides = (other(tmp_path / "1"), other(tmp_path / "2"))
    record = read_records(sides[1]).current["lineage/figures/fig03.json"]
    pdf, svg = record.content["outputs"]
    rewrite(sides[1] / record.path, outputs=[pdf, {**svg, "sha256": "0" * 64}])
    for end, expected in (("pdf", "They have the same bytes."), ("svg", "They have other bytes.")):
        shown = run(capsys, *(str(side / f"figures/fig03.{end}") for side in sides))
        assert expected in shown
    both = [str(sides[1] / f"figures/fig03.{end}") for end in ("svg", "pdf")]
    assert "they are two outputs of one job" in run(capsys, *both)


def test_experiments_with_nothing_in_common(
    tmp_path: Path, a: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    b = tmp_path / "results" / "small"
    Jobs(b).job("figure", "figures/fig05", {}, {"pdf": "figures/fig05.pdf"})
    last = run(capsys, str(a), str(b)).splitlines()[-1]
    assert last.startswith("Conclusion: they have no artifact in common; only A has 3 runs")


def test_an_imported_curve_is_matched_with_a_curve_of_a_run(tmp_path: Path) -> None:
    found = []
    for name, rule in (("1", "train_loss"), ("2", "imported_loss")):
        jobs = Jobs(tmp_path / name / "small")
        curve, path = f"curves/train_loss/main-{name}k", f"fits/main-{name}k"
        wildcards = {"run": f"main-{name}k"}
        csv, fit = {"csv": f"{curve}.csv"}, {"json": f"{path}.json"}
        jobs.job(rule, curve, {"own": "raw/own.csv"}, csv, wildcards=wildcards)
        jobs.job("fit", path, {"curve": f"{curve}.csv"}, fit, wildcards=wildcards)
        found.append(jobs.results)
    explained = of(found[0], found[1], "fits/main-1k.json", "fits/main-2k.json")
    assert said(explained) == ["rule of the step: train_loss -> imported_loss"]


def test_inputs_are_matched_by_role(tmp_path: Path) -> None:
    """Of runs with other names, and where one side has one more."""
    results = other(tmp_path)
    records = read_records(results)
    fits = [records.current[f"lineage/training/{run}/32-64.json"] for run in ("main-1k", "main-2k")]
    pairs = matched(fits[0], fits[1], (records, records))
    assert [(x["name"], y["name"]) for x, y in pairs if x and y] == [
        ("tokens", "tokens"),
        ("previous", "previous"),
    ]
    assert len(pairs) == 2
    first, figure = records.current["lineage/training/main-1k/00-32.json"], one(records, "fig03")
    assert [y for x, y in matched(first, fits[0], (records, records)) if x is None]
    assert all(x is None for x, _ in matched(first, figure, (records, records))[1:])


def test_an_input_that_only_one_side_reads_is_a_cause(a: Path, tmp_path: Path) -> None:
    found = of(a, other(tmp_path, runs=("main-1k",)))
    (cause,) = found.causes
    assert str(cause.change) == "input fits/main-2k.json: read only by A"
    assert cause.steps == ("figures/fig03",)


def test_jobs_of_two_rules_are_said_to_be_that(a: Path) -> None:
    found = of(a, a, "fits/main-1k.json", "curves/train_loss/main-1k.csv")
    assert said(found)[0] == "rule of the step: fit -> train_loss"
    assert not any(cause.change.kind in ("setting", "module") for cause in found.causes)


def test_experiments(a: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    b = other(tmp_path, rates={"main-1k": 0.02}, runs=("main-1k", "main-2k", "new-1k"))
    sides = (read_records(a), read_records(b))
    found = explain_experiments(sides)
    seen = found.overview
    assert (seen.only_a, seen.only_b) == (("other-1k",), ("new-1k",))
    (setting,) = seen.settings
    assert (str(setting.change), setting.steps) == (
        "setting run.learning_rate: 0.01 -> 0.02",
        ("main-1k",),
    )
    assert seen.folders["fits"] == {"different": 1, "same": 1, "only B": 1, "only A": 1}
    assert seen.folders["figures"] == {"different": 2}
    assert seen.folders["tables"] == {"same": 1}
    assert said(found) == ["setting run.learning_rate: 0.01 -> 0.02"]
    plain = json.loads(run(capsys, str(a), str(b), "--json"))
    assert plain["runs_only_a"] == ["other-1k"]
    assert plain["causes"][0]["name"] == "run.learning_rate"
    shown = run(capsys, str(a), str(b))
    assert shown.splitlines()[-1] == plain["sentence"]
    assert plain["sentence"].startswith(
        "Conclusion: they differ because of setting run.learning_rate: 0.01 -> 0.02; "
        "only A has 1 run and only B has 1 run"
    )


def test_another_name_of_the_experiment_is_no_difference(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        params = {"settings": {"file": f"results/{name}/data/c"}}
        how = {"text": "same", "params": params}
        found.append(read_records(experiment(tmp_path / name / name, fit=how, train=how)))
    explained = explain_experiments((found[0], found[1]))
    assert explained.causes == explained.without_effect == ()
    assert explained.same


def test_an_experiment_and_an_artifact_cannot_be_compared(
    a: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(a), str(a / "fig03")]) == 1
    assert "one is an experiment and the other is not" in capsys.readouterr().err
    assert main(["explain", str(a / "main"), str(a / "fig03")]) == 1
    assert "name one, a run, or an experiment" in capsys.readouterr().err
