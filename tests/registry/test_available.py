"""The registry names modules that exist, knows what an experiment can make, and what captions
say of it."""

import importlib
import subprocess
import sys

import pytest

from zsl import registry
from zsl.config.load import resolve
from zsl.registry.facts import facts
from zsl.registry.inputs import runs_of
from zsl.tables.layout import Table

CORPUS = {
    "train": [{"kind": "files", "paths": ["text.txt"], "documents": "line"}],
    "evaluation": {"sequences": 64, "sequence_length": 16},
    "tokenizer": {"kind": "bpe", "vocab_size": 64},
}
DEFAULTS = {
    "corpus": "text", "sequence_length": 16, "batch_size": 2, "steps": 8192,
    "model": {"d_model": 32, "n_heads": 2, "n_layers": 1},
    "optimizer": {"learning_rate": 1e-3}, "schedule": {"warmup_steps": 4},
}  # fmt: skip
SMOOTHED = {"path": "published.json", "format": "authors", "values": "smoothed"}
IMPORTED = {
    "defaults": SMOOTHED,
    "runs": {"Big-1B": {"parameters": 10}, "Big-7B": {"parameters": 70}},
}
OPTIMIZERS = {
    name: {"optimizer": {"name": name}} for name in ("adamw", "muon", "ademamix", "c_adamw")
}
GRIDS = {"decades": True, "every": 1000}
SUITES = {
    "main": {"a": {"checkpoints": GRIDS}, "b": {}},
    "cosine": {"a": {}, "b": {}},
    "batch_sequence": {
        "1M-1024": {},
        "1M-2048": {"sequence_length": 32},
        "4M-1024": {"batch_size": 8},
    },
    "optimizer": OPTIMIZERS | {"adamw": {"checkpoints": GRIDS}},
    "mitigation": {"baseline": {}, "arm": {}},
    "mitigation_cosine": {"baseline": {}, "arm": {}},
    "mitigation_rates": {"baseline_1": {}, "arm_1": {}},
}
"""Every suite of the paper and of the mitigation experiment, as runs that differ from
``DEFAULTS``."""


def experiment(runs=(), imported=None, suite="main", **values):
    """A plan of one suite."""
    settings = {"defaults": DEFAULTS, "runs": {name: {} for name in runs}, "imported": imported}
    return plan({suite: settings}, **values)


def everything(**values):
    """A plan of all suites."""
    return plan(
        {name: {"defaults": DEFAULTS, "runs": runs} for name, runs in SUITES.items()}, **values
    )


def plan(suites, **values):
    settings = {"experiment": "x", "curves": {"k": 1.3}, "corpora": {"text": CORPUS}}
    return resolve({**settings, "suites": suites, **values}, environ={})


def names(targets):
    return [target.id for target in targets]


def ids(*args, **kwargs):
    return names(registry.available(experiment(*args, **kwargs)))


@pytest.mark.parametrize("target", registry.TARGETS, ids=lambda target: target.id)
def test_a_target_has_a_module_with_its_contract(target):
    module = importlib.import_module(target.module)
    if target.kind == "figure":
        assert callable(module.data) and callable(module.draw)
    else:
        assert isinstance(module.TABLE, Table)


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


def test_imported_curves_alone_make_what_they_suffice_for():
    made = ["fig02", "fig22", "table1", "table4", "sensitivity", "table1_common"]
    assert ids(imported=IMPORTED) == made


def test_imported_curves_make_nothing_that_shows_settings():
    assert ids(imported=IMPORTED, suite="batch_sequence") == []
    assert ids(imported=IMPORTED, suite="optimizer") == ["fig26", "table7"]


def test_imported_curves_of_unknown_size_have_no_scaling_law():
    unknown = {**IMPORTED, "runs": {"Big-1B": {}, "Big-7B": {}}}
    assert set(ids(imported=IMPORTED)) - set(ids(imported=unknown)) == {"fig22"}
    assert "fig22" in ids(runs=("a",), imported=unknown)
    one = {**IMPORTED, "runs": {"Big-1B": {"parameters": 10}, "Big-7B": {}}}
    caption = registry.caption(registry.BY_ID["fig22"], experiment(imported=one))
    assert "not trained here: Big-1B (smoothed elsewhere). Left out, since" in caption
    assert caption.endswith(": Big-7B.")


def test_raw_imported_curves_show_what_smoothing_does():
    raw = {"defaults": {"values": "raw"}, "runs": {"Big-1B": {"path": "a.csv"}}}
    assert set(ids(imported=raw)) - set(ids(imported=IMPORTED)) == {"fig13"}
    mixed = {"runs": {**raw["runs"], "Big-7B": SMOOTHED}, "defaults": raw["defaults"]}
    shown = experiment(imported=mixed)
    said = "* imported, not trained here: Big-1B (raw, smoothed here)"
    assert registry.caption(registry.BY_ID["fig02"], shown).endswith(
        f"{said}; Big-7B (smoothed elsewhere)."
    )
    fig13 = registry.caption(registry.BY_ID["fig13"], shown)
    assert f"{said}. Left out" in fig13 and fig13.endswith("do not hold it: Big-7B.")


def test_all_suites_make_all():
    assert names(registry.available(everything())) == names(registry.TARGETS)


def test_a_suite_makes_what_it_shows_alone():
    of_main = [target for target in registry.TARGETS if target.suites == ("main",)]
    assert ids(runs=("a", "b")) == names(of_main)
    assert ids(runs=("a", "b"), imported=IMPORTED) == names(of_main)
    assert ids(runs=("a", "b"), suite="other") == []


def test_one_run_has_nothing_to_be_compared_with():
    alone = set(ids(runs=("a", "b"))) - set(ids(runs=("a",)))
    assert alone == {target.id for target in registry.TARGETS if target.runs == 2} & alone
    assert "table2" in alone and "table2" not in ids(runs=("a",), imported=IMPORTED)


def test_a_sample_of_token_gradients_has_no_d_per_coordinate():
    measured = {"token_gradients": {"estimator": "sampled", "tokens": 8}}
    made = set(ids(runs=("a", "b"), measurements=measured))
    assert set(ids(runs=("a", "b"))) - made == {"fig14"}
    measured = {"token_gradients": {"estimator": "sampled_sequences", "sampled_sequences": 8}}
    assert ids(runs=("a", "b"), measurements=measured) == ids(runs=("a", "b"))


@pytest.mark.parametrize("target", registry.TARGETS, ids=lambda target: target.id)
def test_a_target_with_claims_has_a_module_that_lists_them(target):
    claims = getattr(importlib.import_module(target.module), "CLAIMS", ())
    assert bool(claims) == target.claims
    assert len({claim.statement for claim in claims}) == len(claims)


@pytest.mark.parametrize("target", registry.TARGETS, ids=lambda target: target.id)
def test_captions_are_filled_from_the_configuration(target):
    text = registry.caption(target, everything())
    assert "{" not in text and "Big" not in text
    assert text.startswith(f"{target.heading}: ") == (target.number is not None)
    if "curves.k" in target.caption:
        assert "k = 1.3" in text


def test_a_suite_may_cut_its_fits_elsewhere():
    suites = {name: {"defaults": DEFAULTS, "runs": runs} for name, runs in SUITES.items()}
    suites["optimizer"]["cut"] = 77
    cut = plan(suites, fits={"cut": 55})
    assert [cut.cut(id) for id in ("main-a", "optimizer-muon")] == [55, 77]
    for id, other in (("table1", "77"), ("table7", "55"), ("fig26", "55")):
        text = registry.caption(registry.BY_ID[id], cut)
        assert ("steps > 77" in text) == (other == "55") and f"steps > {other}" not in text


@pytest.mark.parametrize("target", registry.TARGETS, ids=lambda target: target.id)
def test_captions_of_figures_say_what_is_imported(target):
    imported = experiment(runs=("a", "b"), imported=IMPORTED)
    if target.kind == "figure" and target.suites == ("main",):
        text = registry.caption(target, imported)
        assert ("Big-1B, Big-7B" in text) == bool(target.inputs), "a sketch shows no run"


def test_repeated_runs_are_read_where_claims_are_judged():
    settings = {"defaults": DEFAULTS, "runs": {"a": {}, "b": {}}, "repeat": {"a": [1]}}
    repeated = plan({"main": settings})
    for target in registry.TARGETS:
        if target.suites == ("main",) and "fits" in target.inputs:
            again = "main-a_seed1" in runs_of(repeated, target, "fits")
            assert again == target.claims


def test_repeated_runs_are_read_where_seeds_are_compared():
    settings = {"defaults": DEFAULTS, "runs": {"a": {}, "b": {}}, "repeat": {"a": [1]}}
    repeated = plan({name: settings for name in ("mitigation", "mitigation_cosine")})
    for id in ("mitigation", "mitigation_dynamics", "table_mitigation"):
        assert "mitigation-a_seed1" in runs_of(repeated, registry.BY_ID[id], "eval_loss")


def test_captions_say_how_small_the_runs_are():
    defaults = {**DEFAULTS, "sequence_length": 32, "batch_size": 64}
    runs = {"2k-32": {}, "2k-64": {"sequence_length": 64, "batch_size": 32}, "x": {"steps": 4096}}
    said = facts(
        plan({"batch_sequence": {"defaults": defaults, "runs": runs}}), registry.BY_ID["fig24"]
    )
    assert said["batches"] == "2,048"
    assert said["lengths"] == "32 and 64" and said["steps"] == "4,096 and 8,192"
    assert said["labels"] == "2k-32, 2k-64 and x"
    assert said["evaluation"] == "64 sequences of 16"
    assert said["final"] == said["every"] == "–", "no cosine schedule, no even checkpoints"
