import json
import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from zsl.cli import main
from zsl.config.json_schema import SCHEMA_FILE, json_schema
from zsl.config.load import load, merge, read_yaml, resolve
from zsl.config.parameters import n_parameters
from zsl.config.schema import EXTENSIBLE, Schedule
from zsl.errors import ConfigError
from zsl.registry import available

ROOT = Path(__file__).parents[2]
SHIPPED = [
    *("config", "desk", "mitigation", "paper", "single_gpu"),
    *("published", "authors", "authors_laptop", "pythia", "crfm", "trainer"),
]


@pytest.fixture
def values():
    """The configuration of mini, to be spoilt."""
    return read_yaml(ROOT / "config/config.yaml")


def spoil(values, key, value):
    """``values`` with one dotted key set; for runs of mini, whose names have no dot."""
    spoilt = json.loads(json.dumps(values))  # anchors of YAML share what they repeat
    *parents, last = key.split(".")
    inner = spoilt
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[last] = value
    return spoilt


RUN = "suites.main.runs.44k"


def imported(run="x", **settings):
    """An imported curve, and where it stands."""
    return "suites.main.imported", {"runs": {run: settings}}


MISTAKES = [
    ("colour", "red", "unknown key 'colour'"),
    ("threds", 2, "did you mean 'threads'"),
    (f"{RUN}.model.n_head", 2, "did you mean 'n_heads'"),
    (f"{RUN}.model.n_heads", 3, f"{RUN}.model.n_heads = 3: does not divide d_model = 32; choose"),
    (f"{RUN}.model.n_heads", 32, "heads of odd width 1"),
    (f"{RUN}.model.d_model", "wide", f"{RUN}.model.d_model = 'wide'"),
    (f"{RUN}.corpus", "bundle", "no such corpus; did you mean 'bundled'"),
    (f"{RUN}.steps", 0, f"{RUN}.steps = 0"),
    (f"{RUN}.steps", 30, "the fit leaves out steps <= fits.cut"),
    (f"{RUN}.checkpoints.also", [9000], "also = [9000]: not within the run's steps 0 to 1024"),
    (f"{RUN}.checkpoints.extended_from", [4096], "extended_from = [4096]: not before the run's"),
    (f"{RUN}.checkpoints.extended_from", [0], "extended_from.0 = 0"),
    *[
        (
            f"{RUN}.schedule",
            {"name": name, "warmup_steps": 4096},
            f"the rate of {name} never decays",
        )
        for name in (
            "cosine_with_warmup",
            "linear_with_warmup",
            "inverse_sqrt_with_warmup",
            "cosine_linear_envelope",
            "max_scheduler",
        )
    ],
    (f"{RUN}.schedule.name", "constant", "warmup_steps = 128: constant has no warm-up"),
    (f"{RUN}.schedule", {"name": "max_scheduler", "warmup_steps": 0}, "give at least 1"),
    (f"{RUN}.schedule", {"name": "inverse_sqrt_with_warmup", "warmup_steps": 0}, "at least 1"),
    (f"{RUN}.schedule.name", "cosine", "schedule.name = 'cosine': Input should be 'constant_with"),
    (f"{RUN}.precision.micro_batch_size", 3, "does not divide batch_size = 64; choose"),
    (f"{RUN}.precision.weights", "bfloat16", "set compute: bfloat16"),
    (f"{RUN}.optimizer.betas", [0.9, 1.0], "betas.1 = 1.0: choose a value in [0, 1)"),
    (f"{RUN}.sequence_length", 32, "longer than the context of main-44k, 32 tokens"),
    ("measurements.gradient_opposition", {"sequences": 5000}, "the evaluation set of corpus"),
    ("measurements.token_gradients", {"sequences": 5000}, "token_gradients.sequences = 5000: the"),
    (
        "measurements.token_gradients",
        {"sequences": 8, "estimator": "sampled", "tokens": 600},
        "token_gradients.tokens = 600: 8 sequences of corpus bundled have 504 predictions",
    ),
    (
        "measurements.token_gradients",
        {"sequences": 20, "estimator": "sampled_sequences", "sampled_sequences": 30},
        "sampled_sequences = 30: more than its sequences, 20; choose at most that many",
    ),
    ("measurements.cross_section", {"sharpness_updates": 0.05}, "leaves too few places for"),
    ("measurements.cross_section", {"sequences": 5000}, "cross_section.sequences = 5000: the"),
    ("measurements.cross_section", {"points": 20}, "points: 20 leaves out alpha = 0"),
    ("suites.main.repeat", {"45k": [1]}, "repeat.45k: there is no such run; did you mean '44k'"),
    ("suites.main.repeat", {"44k": [1, 1]}, "must differ; the same seed gives the same run"),
    ("suites.main.repeat", {"44k": [20]}, "the run's own 20 among them, must differ"),
    ("tables.table2_steps", [48], "keeps no checkpoint there; choose from"),
    ("suites.main.runs.a/b", {}, "suites.main.runs"),
    ("suites.ma-in", {}, "suites.ma-in"),
    ("corpora.bundled.tokenizer.kind", "gpt", "corpora.bundled.tokenizer"),
    ("corpora.bundled.tokenizer.embedding_size", 1000, "smaller than vocab_size 1024"),
    ("suites.main.imported", {"runs": {}}, "suites.main.imported.runs"),
    ("suites.main.imported", {"names": ["x"]}, "unknown key 'names'; known: defaults, runs"),
    (*imported(values="raw"), "runs.x: give either url (with sha256) or path"),
    (*imported(values="raw", path="a.csv", url="https://a.b/c"), "give either url"),
    (*imported(values="raw", url="https://a.b/c.csv"), "runs.x: url needs sha256"),
    (*imported(path="a.csv"), "suites.main.imported.runs.x.values: Field required"),
    (*imported(path="a.csv", values="both"), "runs.x.values = 'both'"),
    (*imported(path="a.json", values="raw"), "name does not say its format; give format: csv"),
    (*imported(path="a.csv", values="raw", name="14M"), "name is a key of the authors' file"),
    (*imported(path="a.log", values="raw", columns={"loss": "x"}), "format log has none"),
    (*imported("44k", path="a.csv", values="raw"), "runs.44k: is also among its runs"),
]


@pytest.mark.parametrize(("key", "value", "message"), MISTAKES)
def test_a_mistake_names_key_value_and_way_out(values, key, value, message):
    with pytest.raises(ConfigError) as error:
        resolve(spoil(values, key, value), environ={})
    assert message in str(error.value)


def test_every_mistake_is_told_at_once(values):
    spoilt = spoil(values, f"{RUN}.model.n_heads", 3)
    spoilt = spoil(spoilt, "suites.main.runs.19k.corpus", "none")
    with pytest.raises(ConfigError) as error:
        resolve(spoilt, environ={})
    assert len(str(error.value).splitlines()) == 2


def test_files_that_are_no_configuration_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"missing.yaml: no such configuration file"):
        load([tmp_path / "missing.yaml"])
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(ConfigError, match=r"list.yaml: expected keys and values, found list"):
        load([tmp_path / "list.yaml"])
    (tmp_path / "tab.yaml").write_text("a:\n\t- b\n")
    with pytest.raises(ConfigError, match=r"(?s)tab.yaml: not a YAML file: .*line 2"):
        load([tmp_path / "tab.yaml"])
    (tmp_path / "tag.yaml").write_text("a: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ConfigError, match=r"tag.yaml: not a YAML file"):
        load([tmp_path / "tag.yaml"])


def test_later_files_win_key_by_key(tmp_path):
    (tmp_path / "more.yaml").write_text("suites: {main: {runs: {44k: {seed: 7}}}}\n")
    plan = load([ROOT / "config/config.yaml", tmp_path / "more.yaml"])
    assert plan.runs["main-44k"].seed == 7
    assert plan.runs["main-44k"].model.d_model == 32
    assert plan.runs["main-19k"].seed == 20
    assert merge({"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}}) == {"a": {"b": 1, "c": [2]}}


def test_names_of_runs_are_their_sizes():
    for name in ("config", "desk", "single_gpu"):
        plan = load([ROOT / f"config/{name}.yaml"])
        for id in plan.run_ids("main"):
            run = plan.runs[id]
            rows = plan.corpus(id).tokenizer.rows
            size = n_parameters(run.model, rows, run.sequence_length)
            unit = {"k": 1e3, "M": 1e6}[id[-1]]
            assert (
                id == f"main-{size / unit:.0f}{id[-1]}" or abs(float(id[5:-1]) - size / unit) < 1
            ), (id, size)


def test_a_repetition_differs_in_its_seed_alone(values):
    plan = resolve(spoil(values, "suites.main.repeat", {"19k": [7], "44k": [1, 2]}), environ={})
    assert plan.seeds == {
        "main-19k": ["main-19k_seed7"],
        "main-44k": ["main-44k_seed1", "main-44k_seed2"],
    }
    for id_of_main, again in plan.seeds.items():
        for id in again:
            seed = int(id.rsplit("seed")[-1])
            assert plan.runs[id] == plan.runs[id_of_main].model_copy(update={"seed": seed})
            assert id not in plan.run_ids("main")


def test_a_segment_does_not_know_how_long_its_run_is(values):
    plan = resolve(values, environ={})
    longer = resolve(spoil(values, "suites.main.defaults.steps", 8192), environ={})
    for segment in plan.layout("main-44k").segments:
        short = plan.segment_settings("main-44k", segment)
        assert short == longer.segment_settings("main-44k", segment)
    cosine = spoil(values, "suites.main.defaults.schedule.name", "cosine_with_warmup")
    longer = spoil(cosine, "suites.main.defaults.steps", 8192)
    first = plan.layout("main-44k").segments[0]
    assert resolve(cosine, environ={}).segment_settings("main-44k", first) != resolve(
        longer, environ={}
    ).segment_settings("main-44k", first)


@pytest.mark.parametrize("name", get_args(Schedule.model_fields["name"].annotation))
def test_a_run_made_longer_has_the_segments_that_it_had(values, name):
    """Equal settings: only of a schedule that decays towards the last step they cannot be."""
    values["suites"] = {"main": values["suites"]["main"]}
    main = values["suites"]["main"]["defaults"]
    main["schedule"] = {"name": name, "warmup_steps": 0 if name == "constant" else 32}
    main["steps"] = 3000
    plan = resolve(values, environ={})
    ends = "suites.main.defaults.checkpoints.extended_from"
    again = spoil(spoil(values, "suites.main.defaults.steps", 6000), ends, [3000])
    if name not in EXTENSIBLE:
        said = f"extended_from = [3000]: the rate of {name} depends on steps"
        with pytest.raises(ConfigError, match=re.escape(said)):
            resolve(again, environ={})
        return
    longer = resolve(again, environ={})
    for id in ("main-19k", "main-44k"):
        assert [s.end for s in longer.layout(id).segments] == [3000, 4096, 6000]
        (segment,) = plan.layout(id).segments
        settings = [p.segment_settings(id, segment).model_dump() for p in (plan, longer)]
        assert settings[0] == settings[1]


def test_a_constant_rate_may_never_get_past_its_warm_up(values):
    """As in a trial of a few steps of a long run."""
    resolve(spoil(values, f"{RUN}.schedule.warmup_steps", 9000), environ={})


def test_a_run_that_was_never_shorter_says_nothing_of_it(values):
    """So that what is recorded of the runs that there are stays as it is."""
    run = resolve(values, environ={}).runs["main-44k"]
    assert "extended_from" not in run.model_dump()["checkpoints"]
    longer = resolve(spoil(values, f"{RUN}.checkpoints.extended_from", [100]), environ={})
    assert longer.runs["main-44k"].model_dump()["checkpoints"]["extended_from"] == [100]


def test_published_dir_replaces_the_imported_file(tmp_path):
    values = read_yaml(ROOT / "config/published.yaml")
    (tmp_path / "bnsl_fit.json").write_text(json.dumps({"14M": {}, "OLMo-1B": {}}))
    plan = resolve(values, environ={"ZSL_PUBLISHED_DIR": str(tmp_path)})
    assert [*plan.imported] == ["main-14M", "main-OLMo-1B"]
    source = plan.imported["main-14M"]
    assert source.path == str(tmp_path / "bnsl_fit.json") and source.url is None
    assert "not in it: 37M, 78M, 144M, 285M, 472M, OLMo-7B" in source.note
    assert "six" not in source.note, "the file may hold all eight"
    paper = resolve(read_yaml(ROOT / "config/paper.yaml"), {"ZSL_PUBLISHED_DIR": str(tmp_path)})
    assert [*paper.imported] == ["main-OLMo-1B", "cosine-OLMo-1B"]
    (tmp_path / "bnsl_fit.json").write_text(json.dumps({"14M": {}}))
    paper = resolve(read_yaml(ROOT / "config/paper.yaml"), {"ZSL_PUBLISHED_DIR": str(tmp_path)})
    assert paper.imported["main-OLMo-7B"].url is not None, "none of its runs are in the folder"
    with pytest.raises(ConfigError, match=r"holds no bnsl_fit.json"):
        resolve(values, environ={"ZSL_PUBLISHED_DIR": str(tmp_path / "none")})
    assert resolve(values, environ={}).imported["main-14M"].url is not None


def test_published_dir_replaces_downloads_of_the_authors_curves_only(tmp_path):
    (tmp_path / "bnsl_fit.json").write_text(json.dumps({"14M": {}}))
    download = {"url": "https://a.b/c.json", "sha256": "0" * 64, "format": "authors"}
    own = {"path": "own.json", "format": "authors", "name": "14M"}
    runs = {"small": {**download, "name": "14M"}, "own": own, "csv": {"path": "own.csv"}}
    suite = {"imported": {"defaults": {"values": "smoothed"}, "runs": runs}}
    values = {"experiment": "x", "suites": {"main": suite}}
    made = resolve(values, environ={"ZSL_PUBLISHED_DIR": str(tmp_path)}).imported
    assert [made[f"main-{name}"].path for name in runs] == [
        str(tmp_path / "bnsl_fit.json"), "own.json", "own.csv",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "format"),
    [
        ("a.csv", "csv"), ("a.TSV", "csv"), ("a.b/c.jsonl", "jsonl"), ("a.ndjson", "jsonl"),
        ("train.log", "log"), ("slurm-12.out", "log"), ("x/trainer_state.json", "trainer_state"),
    ],
)  # fmt: skip
def test_the_name_of_an_imported_file_says_its_format(path, format):
    for where in ({"path": path}, {"url": f"https://a.b/{path}?raw=true", "sha256": "0" * 64}):
        suite = {"imported": {"defaults": {"values": "raw"}, "runs": {"x": where}}}
        plan = resolve({"experiment": "x", "suites": {"main": suite}}, environ={})
        assert plan.imported["main-x"].format == format


def test_schema_is_the_generated_one():
    kept = json.loads((ROOT / SCHEMA_FILE).read_text())
    assert kept == json_schema(), "the schema has drifted; run: make schema"


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_configurations_obey_the_schema(name):
    import jsonschema

    values = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())
    jsonschema.validate(values, json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**values, "colour": "red"}, json_schema())


def test_every_field_is_described():
    definitions = json_schema()["$defs"]
    for name, definition in {**definitions, "Experiment": json_schema()}.items():
        for field, value in definition.get("properties", {}).items():
            assert value.get("description") or "const" in value, f"{name}.{field}"


@pytest.mark.parametrize("name", SHIPPED)
def test_zsl_prints_a_configuration_that_is_the_same_experiment(
    name, tmp_path, capsys, monkeypatch
):
    monkeypatch.delenv("ZSL_PUBLISHED_DIR", raising=False)
    path = str(ROOT / f"config/{name}.yaml")
    assert main(["config", "--configfile", path]) == 0
    (tmp_path / "printed.yaml").write_text(capsys.readouterr().out)
    assert load([tmp_path / "printed.yaml"]).runs == load([path]).runs
    assert main(["runs", "--configfile", path]) == 0
    listed = capsys.readouterr().out
    assert all(id in listed for id in load([path]).runs)


def test_zsl_lists_every_target_once_and_its_title_once(capsys):
    assert main(["targets", "--configfile", str(ROOT / "config/config.yaml")]) == 0
    listed = capsys.readouterr().out.partition("\n\n")[0]
    lines = dict(line.split(maxsplit=1) for line in listed.splitlines())
    assert lines["fig05"].split(maxsplit=2)[:2] == ["Fig.", "5"]
    made = available(load([ROOT / "config/config.yaml"]))
    beyond = [target for target in made if target.number is None]
    assert beyond and all(lines[target.id] == target.title for target in beyond)


def test_zsl_says_what_is_wrong_in_one_line(tmp_path, capsys):
    assert main(["runs", "--configfile", str(tmp_path / "none.yaml")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
