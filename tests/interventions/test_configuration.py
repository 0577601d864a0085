"""Interventions in a configuration: what they add to a run, and mistakes in one clean line."""

import copy
from pathlib import Path

import jsonschema
import pytest

from zsl.config.flops import Flops, training_step
from zsl.config.interventions import Agreement
from zsl.config.json_schema import json_schema
from zsl.config.load import read_yaml, resolve
from zsl.config.schema import Run
from zsl.errors import ConfigError
from zsl.lineage.fingerprint import modules_of
from zsl.planning import storage
from zsl.training.modules import stepping_modules

ROOT = Path(__file__).parents[2]
KEY = "suites.main.runs.44k"
NAMES = ["agreement", "placebo", "micro_batch_agreement", "token_weights", "projection"]


@pytest.fixture
def configured():
    """The main suite of mini, one of whose runs has an intervention."""
    values = read_yaml(ROOT / "config/config.yaml")
    values["suites"] = {"main": values["suites"]["main"]}
    values["corpora"] = {"bundled": values["corpora"]["bundled"]}

    def configure(intervention, **settings):
        made = copy.deepcopy(values)
        made["suites"]["main"]["runs"]["44k"] |= {"intervention": intervention, **settings}
        return made

    return configure


def test_a_run_without_one_is_dumped_as_before(make_run):
    """Its parameters in the workflow, and all that its records say, have no such key."""
    run = make_run()
    dumped = run.model_dump(mode="json")
    assert run.intervention is None and "intervention" not in dumped
    assert {*dumped} == {*Run.model_fields} - {"intervention", "source"}
    assert Run.model_validate({**dumped, "intervention": None}).model_dump(mode="json") == dumped
    assert stepping_modules(dumped) == ["zsl.optimizers.adamw"]


@pytest.mark.parametrize("name", NAMES)
def test_settings_survive_as_plain_values(intervened, name):
    run = intervened(name)
    again = Run.model_validate(run.model_dump(mode="json"))
    assert again == run and again.intervention.name == name
    assert stepping_modules(run.model_dump(mode="json"))[1] == f"zsl.interventions.{name}"


def test_training_counts_the_intervention_it_has_and_no_other():
    for script in ("workflow/scripts/train.py", "workflow/scripts/measure.py"):
        plain = modules_of(script, ["zsl.optimizers.adamw"])
        assert not [name for name in plain if name.startswith("zsl.interventions.")]
        counted = modules_of(script, ["zsl.optimizers.adamw", "zsl.interventions.placebo"])
        found = {name for name in counted if name.startswith("zsl.interventions.")}
        assert found == {"zsl.interventions.agreement", "zsl.interventions.placebo"}


def test_a_configuration_names_one(configured):
    values = configured({"name": "agreement", "gamma": 0.5})
    jsonschema.validate(values, json_schema())
    runs = resolve(values, environ={}).runs
    assert runs["main-44k"].intervention == Agreement(name="agreement", gamma=0.5)
    assert runs["main-19k"].intervention is None


BF16 = {"precision": {"compute": "bfloat16"}}
COMPILE = {"precision": {"compile": True}}
MISTAKES = [
    ({"name": "agrement", "gamma": 1}, {}, "unknown name 'agrement'; did you mean 'agreement'?"),
    ({"gamma": 1}, {}, "intervention: has no name; known: agreement, placebo,"),
    ({"name": "agreement"}, {}, "intervention.gamma: Field required"),
    ({"name": "agreement", "gamma": -2}, {}, "intervention.gamma = -2: Input should be greater"),
    ({"name": "agreement", "gama": 1}, {}, "unknown key 'gama'; did you mean 'gamma'?"),
    ({"name": "projection", "by": "size"}, {}, "intervention.by = 'size': Input should be"),
    (
        {"name": "micro_batch_agreement", "micro_batches": 7},
        {},
        "7: does not divide batch_size = 64",
    ),
    ({"name": "agreement", "gamma": 1}, BF16, "compute = 'bfloat16': agreement is made in float32"),
    ({"name": "placebo", "gamma": 1}, COMPILE, "compile = True: placebo looks into"),
    ({"name": "projection", "by": "loss"}, COMPILE, "compile = True: projection looks into"),
]


@pytest.mark.parametrize(("intervention", "settings", "said"), MISTAKES)
def test_mistakes_are_named(configured, intervention, settings, said):
    with pytest.raises(ConfigError) as error:
        resolve(configured(intervention, **settings), environ={})
    lines = str(error.value).splitlines()
    assert said in lines[0] and all(line.startswith(KEY) for line in lines), lines


FLOPS = [
    ("agreement", {}, 4 / 3),
    ("placebo", {"every": 4}, 13 / 12),
    ("micro_batch_agreement", {}, 1),
    ("token_weights", {}, 1),
    ("projection", {"groups": 2}, 5 / 3),
]


@pytest.mark.parametrize(("name", "settings", "times"), FLOPS)
def test_operations_and_bytes_count(intervened, make_run, name, settings, times):
    """Products of attention are not the proxy's, and hardly any in so small a model."""
    run = intervened(name, **settings)
    plain = intervened(None)
    ratio = training_step(run, 20_000).total / training_step(plain, 20_000).total
    assert ratio == pytest.approx(times, rel=1e-3)
    assert isinstance(training_step(run, 24), Flops)
    more = storage.checkpoint(run, 24, 4) - storage.checkpoint(plain, 24, 4)
    kept = settings.get("every", 1) > 1
    assert (more > 0) == kept
