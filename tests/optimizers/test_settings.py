"""Optimizers in a configuration: shared defaults, and mistakes in one clean line."""

import copy
from pathlib import Path

import jsonschema
import pytest

from zsl.config.json_schema import json_schema
from zsl.config.load import read_yaml, resolve
from zsl.errors import ConfigError

ROOT = Path(__file__).parents[2]
KEY = "suites.main.runs.44k.optimizer"


@pytest.fixture
def configured():
    """The configuration of mini with an optimizer for one run, and defaults for all."""
    values = read_yaml(ROOT / "config/config.yaml")
    values["suites"] = {"main": values["suites"]["main"]}
    values["corpora"] = {"bundled": values["corpora"]["bundled"]}

    def configure(optimizer, defaults=None):
        spoilt = copy.deepcopy(values)
        main = spoilt["suites"]["main"]
        main["defaults"]["optimizer"] = defaults or {}
        main["runs"]["44k"]["optimizer"] = optimizer
        return spoilt

    return configure


@pytest.mark.parametrize("name", ["adamw", "muon", "ademamix", "c_adamw"])
def test_a_suite_shares_constants_among_optimizers(configured, name):
    shared = {"betas": [0.8, 0.9], "eps": 1e-6, "weight_decay": 0.2, "clip": 2.0}
    values = configured({"name": name, "learning_rate": 1e-3}, shared)
    jsonschema.validate(values, json_schema())
    runs = resolve(values, environ={}).runs
    made = runs["main-44k"].optimizer
    assert made.name == name and runs["main-19k"].optimizer.name == "adamw"
    for run in (made, runs["main-19k"].optimizer):
        assert (run.betas, run.eps, run.weight_decay, run.clip) == ((0.8, 0.9), 1e-6, 0.2, 2.0)


MISTAKES = [
    ({"name": "moun"}, f"{KEY}: unknown name 'moun'; did you mean 'muon'? known: adamw, muon,"),
    ({"name": [1]}, f"{KEY}: unknown name [1]; known: adamw, muon, ademamix, c_adamw"),
    ({"name": "muon", "momentun": 0.9}, f"{KEY}: unknown key 'momentun'; did you mean 'momentum'?"),
    ({"momentum": 0.9}, f"{KEY}: unknown key 'momentum'; known: learning_rate, betas"),
    ({"name": "muon", "muon_rate": 0}, f"{KEY}.muon_rate = 0: Input should be greater than 0"),
    ({"name": "muon", "betas": [0.9]}, f"{KEY}.betas.1: Field required"),
    ({"name": "muon", "learning_rate": None}, f"{KEY}.learning_rate = None: Input should be"),
    ({"name": "ademamix", "betas": [0, 0.9]}, f"{KEY}: betas.0 = 0.0: the warm-up of beta3 starts"),
    ({"betas": [0.9, 1.0]}, f"{KEY}.betas.1 = 1.0: choose a value in [0, 1)"),
    ("fast", f"{KEY} = 'fast': Input should be a valid dictionary"),
]


@pytest.mark.parametrize(("optimizer", "message"), MISTAKES)
def test_a_mistake_is_one_line_without_names_of_unions(configured, optimizer, message):
    if isinstance(optimizer, dict):
        optimizer = {"learning_rate": 1e-3, **optimizer}
    values = configured(optimizer, {"learning_rate": 1e-3})
    with pytest.raises(ConfigError) as error:
        resolve(values, environ={})
    assert str(error.value).startswith(message)
    assert len(str(error.value).splitlines()) == 1


def test_a_missing_rate_is_named(configured):
    values = configured({"name": "muon"})
    values["suites"]["main"]["runs"] = {"44k": values["suites"]["main"]["runs"]["44k"]}
    with pytest.raises(ConfigError, match=f"^{KEY}.learning_rate: Field required$"):
        resolve(values, environ={})


def test_other_unions_are_not_named_either(configured):
    values = configured({"learning_rate": 1e-3}, {"learning_rate": 1e-3})
    values["corpora"]["bundled"]["train"][0]["files"] = []
    values["corpora"]["bundled"]["train"][1]["distribution"] = 3
    values["corpora"]["bundled"]["tokenizer"]["vocab_size"] = 1
    with pytest.raises(ConfigError) as error:
        resolve(values, environ={})
    lines = str(error.value).splitlines()
    assert [line.split(" = ")[0] for line in lines] == [
        "corpora.bundled.train.0.files",
        "corpora.bundled.train.1.distribution",
        "corpora.bundled.tokenizer.vocab_size",
    ]


def test_a_linear_schedule_knows_how_long_its_run_is(configured):
    values = configured({"learning_rate": 1e-3}, {"learning_rate": 1e-3})
    defaults = values["suites"]["main"]["defaults"]
    defaults["schedule"]["name"] = "linear_with_warmup"
    short, defaults["steps"] = resolve(values, environ={}), 2 * defaults["steps"]
    longer = resolve(values, environ={})
    first = short.layout("main-44k").segments[0]
    settings = [plan.segment_settings("main-44k", first) for plan in (short, longer)]
    assert settings[1].steps == 2 * settings[0].steps
