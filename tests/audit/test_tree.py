"""Lineage: complete down to raw text, each step once, and the same in every format."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from small_records import Jobs, experiment, manifest, rewrite

from zsl.audit.errors import AuditError
from zsl.audit.tree import Lineage, lineage_of, records_of
from zsl.audit.tree_text import MOST, WIDTH, as_json, as_mermaid, as_text
from zsl.cli import main
from zsl.files import sha256_of_json, write_json
from zsl.lineage.store import Records, read_records
from zsl.registry import BY_ID

MINI = Path(__file__).parents[2] / "results" / "mini"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return experiment(tmp_path_factory.mktemp("tree") / "results" / "small")


@pytest.fixture(scope="module")
def records(results: Path) -> Records:
    return read_records(results)


def of(records: Records, *names: str) -> Lineage:
    paths = [path for name in names for path in records_of(name, records, records.results)]
    return lineage_of(records, paths)


def names_of(found: Lineage) -> set[str]:
    return {step.record.name for step in found.steps.values()}


def test_a_figure_rests_on_everything_before_it_and_on_nothing_else(records: Records) -> None:
    expected = {"figures/fig03", "data/c/manifest"}
    for run in ("main-1k", "main-2k"):
        expected |= {f"fits/{run}", f"curves/train_loss/{run}"}
        expected |= {f"training/{run}/00-32", f"training/{run}/32-64"}
    found = of(records, "fig03")
    assert names_of(found) == expected
    assert not found.gaps


def test_raw_files_of_one_origin_are_one_source_with_their_count(records: Records) -> None:
    many, one = of(records, "fig03").raw
    assert (many.origin, many.n_files, many.size) == ("pkg 1.0: a/*.arrow", 3, 30)
    files = manifest("text")["sources"][0]["files"]
    assert many.sha256 == sha256_of_json({file["origin"]: file["sha256"] for file in files})
    assert (one.n_files, one.size) == (1, 5)
    assert one.sha256 == manifest("text")["sources"][1]["files"][0]["sha256"]


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("fig03", "figures/fig03"),
        ("table3", "tables/table3"),
        ("figures/fig03.svg", "figures/fig03"),
        ("results/small/fits/main-2k.json", "fits/main-2k"),
        ("lineage/fits/main-2k.json", "fits/main-2k"),
        ("training/main-1k/00-32.steps.csv", "training/main-1k/00-32"),
        ("main-1k", "training/main-1k/32-64"),
    ],
)
def test_targets(records: Records, target: str, name: str) -> None:
    assert records_of(target, records, Path("/elsewhere")) == [f"lineage/{name}.json"]


def test_a_path_of_another_working_directory_or_an_absolute_one_is_a_target(
    records: Records, results: Path
) -> None:
    expected = ["lineage/fits/main-1k.json"]
    assert records_of("main-1k.json", records, results / "fits") == expected
    assert records_of(str(results / "fits" / "main-1k.json"), records, Path("/")) == expected


def test_main_is_what_shows_suite_main_alone(tmp_path: Path) -> None:
    results = experiment(tmp_path / "results" / "small")
    other = next(id for id, target in BY_ID.items() if target.suites != ("main",))
    Jobs(results).job("figure", f"figures/{other}", {}, {"pdf": f"figures/{other}.pdf"})
    records = read_records(results)
    main = {"lineage/figures/fig03.json", "lineage/tables/table3.json"}
    assert set(records_of("main", records, Path("/"))) == main
    assert set(records_of("all", records, Path("/"))) == {*main, f"lineage/figures/{other}.json"}


def test_an_unknown_target_is_an_error_that_says_what_there_is(records: Records) -> None:
    with pytest.raises(AuditError, match=r"target fig99: no record .* name a figure or table"):
        records_of("fig99", records, Path("/"))


def test_the_record_that_an_input_names_is_followed_though_its_maker_ran_again(
    tmp_path: Path,
) -> None:
    results = experiment(tmp_path / "results" / "small")
    old = read_records(results).current["lineage/fits/main-1k.json"]
    rewrite(results / old.path, threads={"declared": 7})
    found = of(read_records(results), "fig03")
    assert old.sha256 in found.steps
    assert not found.gaps


def test_a_gap_is_said_where_no_record_says_how_an_input_was_made(tmp_path: Path) -> None:
    results = experiment(tmp_path / "results" / "small")
    first = read_records(results).current["lineage/training/main-1k/00-32.json"]
    (results / first.path).unlink()
    (results / "lineage" / "history" / f"{first.sha256}.json").unlink()
    found = of(read_records(results), "fig03")
    said = "training/main-1k/32-64: no record says how training/main-1k/00-32.bin was made"
    assert found.gaps == [said]
    assert "Not complete: the lineage has 1 gap" in as_text(found)
    assert said in as_text(found)


def test_a_gap_is_said_where_the_record_followed_is_not_the_one_named(tmp_path: Path) -> None:
    results = experiment(tmp_path / "results" / "small")
    old = read_records(results).current["lineage/fits/main-1k.json"]
    rewrite(results / old.path, threads={"declared": 7})
    (results / "lineage" / "history" / f"{old.sha256}.json").unlink()
    (gap,) = of(read_records(results), "fig03").gaps
    assert "the record of fits/main-1k.json that it names is not kept" in gap


def test_a_gap_is_said_where_other_bytes_were_read_than_recorded(tmp_path: Path) -> None:
    results = experiment(tmp_path / "results" / "small")
    figure = read_records(results).current["lineage/figures/fig03.json"]
    first, *rest = figure.inputs
    rewrite(results / figure.path, inputs=[{**first, "sha256": "0" * 64}, *rest])
    (gap,) = of(read_records(results), "fig03").gaps
    assert "it read a fits/main-1k.json of other bytes than its maker recorded" in gap


def test_files_of_the_user_and_downloads_are_raw_sources(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path / "results" / "small")
    url = "https://example.org/curves.json"
    downloaded = {"json": "data/published/main.json"}
    jobs.job(
        "published_curves", "data/published/main", {}, downloaded, params={"source": {"url": url}}
    )
    read = {"own": "raw/own.csv", "published": "data/published/main.json"}
    jobs.job("figure", "figures/fig03", read, {"pdf": "figures/fig03.pdf"})
    found = of(read_records(jobs.results), "fig03")
    assert [raw.origin for raw in found.raw] == ["raw/own.csv", url]
    assert found.raw[1].sha256 == found.steps[found.targets[0]].record.inputs[1]["sha256"]
    assert not found.gaps


def test_another_manifest_than_the_recorded_one_is_a_gap(tmp_path: Path) -> None:
    results = experiment(tmp_path / "results" / "small")
    write_json(results / "data/c/manifest.json", manifest("other"))
    for _ in range(2):  # another one, then none
        found = of(read_records(results), "fig03")
        assert found.raw == []
        assert len(found.gaps) == 1
        assert "the manifest that names the corpus' text is not there" in found.gaps[0]
        (results / "data/c/manifest.json").unlink(missing_ok=True)


def test_the_tree_shows_each_step_once_and_fits_its_width(records: Records) -> None:
    text = as_text(of(records, "fig03", "table3"))
    assert text.count("data/c/manifest (tokens)") == 1
    assert text.count("data/c/manifest (above)") == 3
    assert text.count("raw: pkg 1.0: a/*.arrow · 3 files · 30 bytes") == 1
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.endswith(
        "2 targets, 11 steps, 2 raw sources (4 files).\n"
        "Complete: every step is recorded, down to raw sources or configuration alone."
    )


def test_the_tree_says_code_settings_seed_device_and_time(records: Records) -> None:
    found = of(records, "training/main-1k/00-32.bin")
    (step,) = (s for s in found.steps.values() if s.rule == "train")
    shown = as_text(found)
    for part in ("2026-01-02 03:04 UTC", "1 min 2 s", "CPU", "seed 0", "learning_rate=0.01"):
        assert part in shown
    assert f"code {step.record.content['code']['fingerprint'][:12]}" in shown
    assert f"-> 00-32.bin {step.record.content['outputs'][0]['sha256'][:12]} (+1)" in shown


def test_segments_of_a_run_stand_beside_each_other(records: Records) -> None:
    lines = as_text(of(records, "fits/main-1k.json")).splitlines()
    columns = {line.strip("│├└─ "): len(line) - len(line.lstrip("│├└─ ")) for line in lines}
    names = [f"training/main-1k/{segment} (train)" for segment in ("32-64", "00-32")]
    assert [name for name in columns if "(train)" in name] == names
    assert columns[names[0]] == columns[names[1]]


def test_json_has_every_step_by_the_digest_of_its_record(records: Records) -> None:
    found = of(records, "fig03")
    plain = json.loads(json.dumps(as_json(found)))
    assert plain["complete"] is True
    assert set(plain["steps"]) == set(found.steps)
    (target,) = plain["targets"]
    for before in plain["steps"][target]["made_from"]:
        assert plain["steps"][before]["rule"] == "fit"


def edges_of(found: Lineage) -> set[tuple[str, str]]:
    """Edges of the flowchart by the names of what they join."""
    drawn = as_mermaid(found)
    names = dict(re.findall(r'^  (\w+)\[\(?"(.*?)<br/>', drawn, re.MULTILINE))
    return {(names[a], names[b]) for a, b in re.findall(r"(\w+) --> (\w+)", drawn)}


def test_the_flowchart_has_the_edges_of_the_records(records: Records) -> None:
    found = of(records, "fig03")
    steps = {
        (found.steps[before].record.name, step.record.name)
        for step in found.steps.values()
        for before in step.before
    }
    raw = {(each.origin, "data/c/manifest") for each in found.raw}
    assert len(raw) == 2
    assert edges_of(found) == steps | raw


def test_names_in_the_flowchart_are_escaped(records: Records) -> None:
    found = of(records, "fig03")
    step = next(iter(found.steps.values()))
    odd = replace(found.raw[0], origin='a "<b>" & c')
    shown = as_mermaid(replace(found, steps={"x": replace(step, before=(), raw=(odd,))}))
    assert 'r1[("a #quot;#lt;b#gt;#quot; #amp; c<br/>3 files")]' in shown


def test_many_steps_alike_become_one_node(tmp_path: Path) -> None:
    runs = tuple(f"main-{i}k" for i in range(20))
    found = of(read_records(experiment(tmp_path / "results" / "many", runs=runs)), "fig03")
    assert len(found.steps) > MOST
    assert '["train<br/>40 steps"]' in as_mermaid(found)
    assert edges_of(found) == {
        *((raw.origin, "tokens c") for raw in found.raw),
        ("tokens c", "train"),
        ("train", "train_loss"),
        ("train_loss", "fit"),
        ("fit", "figure fig03"),
    }


def test_command(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form, begin in (("text", "figures/fig03 ("), ("mermaid", "flowchart"), ("json", "{")):
        assert main(["lineage", "fig03", "--results", str(results), "--format", form]) == 0
        assert capsys.readouterr().out.startswith(begin)
    assert main(["lineage", "nothing", "--results", str(results)]) == 1
    assert "no record" in capsys.readouterr().err


# Of the results that are here.


@pytest.fixture(scope="module")
def mini() -> Records:
    if not (MINI / "lineage").is_dir():
        pytest.skip("results/mini is not there; make it with: make all")
    return read_records(MINI)


def ends_of(key: str, found: Lineage, known: dict[str, set[str]]) -> set[str]:
    """What the paths from a step end in."""
    if key not in known:
        step = found.steps[key]
        ends = {end for before in step.before for end in ends_of(before, found, known)}
        ends |= {"raw" for _ in step.raw}
        target = BY_ID.get(Path(step.record.name).name)
        if target is not None and not target.inputs:
            ends.add("configuration")  # as the registry declares
        known[key] = ends or {f"nothing: {step.record.name}"}
    return known[key]


def test_every_path_from_every_figure_and_table_ends_in_raw_sources(mini: Records) -> None:
    found = of(mini, "all")
    assert len(found.targets) > 30
    assert found.gaps == []
    known: dict[str, set[str]] = {}
    for key in found.targets:
        content = found.steps[key].record.content
        ends = ends_of(key, found, known)
        assert ends <= {"raw", "configuration"}, content["path"]
        assert "raw" in ends or not content.get("inputs"), content["path"]


def test_every_step_says_code_settings_device_and_time(mini: Records) -> None:
    for step in of(mini, "all").steps.values():
        content = step.record.content
        for key in ("code", "params", "device", "time", "environment", "git"):
            assert content.get(key), f"{step.record.path}: {key}"
        if step.rule == "train":
            assert {"data_order.data_seed", "run.seed"} <= set(content["seeds"])


def test_every_figure_and_table_fits_the_width_as_a_tree(mini: Records) -> None:
    for line in as_text(of(mini, "all")).splitlines():
        assert len(line) <= WIDTH, line
