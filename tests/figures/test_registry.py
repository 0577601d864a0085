"""The registry names modules that exist and knows what an experiment can make."""

import importlib
import subprocess
import sys

import pytest

from zsl import registry
from zsl.config.schema import Experiment
from zsl.registry.target import IMPORTED_KINDS

RUN = {"model": {"d_model": 32}}
IMPORTED = {"path": "published.json", "names": ["OLMo-1B", "OLMo-7B"]}


def experiment(runs=(), imported=None, suite="main"):
    settings = {"runs": {name: RUN for name in runs}, "imported": imported}
    return Experiment.model_validate(
        {"experiment": "x", "curves": {"k": 1.3}, "suites": {suite: settings}}
    )


def ids(*args, **kwargs):
    return [target.id for target in registry.available(experiment(*args, **kwargs))]


@pytest.mark.parametrize("target", registry.TARGETS, ids=lambda target: target.id)
def test_a_target_has_a_module_with_its_contract(target):
    module = importlib.import_module(target.module)
    for name in ("data", "draw") if target.kind == "figure" else ("rows", "columns", "notes"):
        assert callable(getattr(module, name))
    prefix = "fig" if target.kind == "figure" else "table"
    assert target.id in (f"{prefix}{target.number:02d}", f"{prefix}{target.number}")
    if target.published:
        assert set(target.inputs) <= IMPORTED_KINDS


def test_reading_the_registry_imports_nothing_heavy():
    code = (
        "import sys, zsl.registry\n"
        "print([m for m in ('torch', 'matplotlib', 'pandas', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_imported_curves_alone_make_fig_2_and_tables_1_and_4():
    assert ids(imported=IMPORTED) == ["fig02", "table1", "table4"]


def test_runs_of_ones_own_make_all():
    assert ids(runs=("a", "b")) == [target.id for target in registry.TARGETS]
    assert ids(runs=("a", "b"), imported=IMPORTED) == ids(runs=("a", "b"))


def test_one_run_has_nothing_to_be_compared_with():
    assert set(ids(runs=("a", "b"))) - set(ids(runs=("a",))) == {"table2"}
    assert "table2" not in ids(runs=("a",), imported=IMPORTED)


def test_a_sample_of_token_gradients_has_no_d_per_coordinate():
    measured = {"token_gradients": {"estimator": "sampled"}}
    values = experiment(runs=("a", "b")).model_dump() | {"measurements": measured}
    made = {target.id for target in registry.available(Experiment.model_validate(values))}
    assert set(ids(runs=("a", "b"))) - made == {"fig14"}


@pytest.mark.parametrize("target", registry.TARGETS, ids=lambda target: target.id)
def test_a_target_with_claims_has_a_module_that_lists_them(target):
    claims = getattr(importlib.import_module(target.module), "CLAIMS", ())
    assert bool(claims) == target.claims
    assert len({claim.statement for claim in claims}) == len(claims)


def test_another_suite_makes_nothing_of_the_main_experiment():
    assert ids(runs=("a", "b"), suite="other") == []


@pytest.mark.parametrize("target", registry.TARGETS, ids=lambda target: target.id)
def test_captions_are_filled_from_the_configuration(target):
    text = registry.caption(target, experiment(runs=("a", "b"), imported=IMPORTED))
    assert text.startswith(f"{target.heading}: ") and "{" not in text
    if "curves.k" in target.caption:
        assert "k = 1.3" in text
    if target.kind == "figure":
        assert ("OLMo-1B, OLMo-7B" in text) == bool(target.inputs), "a sketch shows no run"
    assert "OLMo" not in registry.caption(target, experiment(runs=("a", "b")))
