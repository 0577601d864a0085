"""Any value of YAML is a plan or a ConfigError, and a plan is written and read as the same."""

from __future__ import annotations

import copy

import pytest
import yaml
from attacks.configs import valid
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from zsl.cli import _resolved
from zsl.config.load import Plan, load, read_yaml, resolve
from zsl.config.yaml_files import read_values
from zsl.errors import BrokenFileError, ConfigError, printable
from zsl.planning.estimate import estimate

NUMBERS = st.integers() | st.floats()
SCALARS = st.none() | st.booleans() | NUMBERS | st.text() | st.dates()
KEYS = st.sampled_from(
    ["experiment", "suites", "corpora", "main", "runs", "model", "kind", "paths", "steps", "url"]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)
FOREIGN = VALUES | st.dictionaries(SCALARS, SCALARS, max_size=3)


def places(values, path=()):
    """Paths to every value of nested mappings and lists."""
    yield path
    nested = isinstance(values, dict | list)
    for key in (values if isinstance(values, dict) else range(len(values))) if nested else ():
        yield from places(values[key], (*path, key))


PLACES = [path for path in places(valid()) if path]


def is_plan(values) -> Plan | None:
    """The plan of these values, None for what is refused in words; anything else is raised."""
    try:
        return resolve(values, {})
    except ConfigError as error:
        assert str(error).strip() and printable(str(error)) == str(error)
        assert len(str(error).splitlines()) < 30
        return None


@given(st.sampled_from(PLACES), FOREIGN)
@settings(max_examples=300)
def test_any_value_in_the_place_of_another_is_a_plan_or_a_mistake(path, value):
    values = valid()
    inner = values
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    is_plan(values)


RUNS = st.fixed_dictionaries(
    {},
    optional={
        "steps": st.integers(1, 10**9),
        "batch_size": st.integers(1, 10**7),
        "seed": st.integers(-1, 2**64),
        "model": st.fixed_dictionaries(
            {
                "d_model": st.integers(2, 10**7),
                "n_layers": st.integers(1, 10**5),
                "n_heads": st.integers(1, 10**7),
            }
        ),
        "checkpoints": st.fixed_dictionaries(
            {},
            optional={
                "every": st.integers(1, 10**9),
                "also": st.lists(st.integers(0, 10**9), max_size=3),
                "decades": st.booleans(),
                "first_segment": st.integers(1, 10**9),
            },
        ),
    },
)


@given(RUNS)
@settings(max_examples=200)
def test_any_numbers_are_planned_or_refused_at_once(run):
    """A plan has a layout and a cost: neither takes more memory than numbers that are allowed."""
    values = valid()
    values["suites"]["main"]["runs"]["a"] |= run
    plan = is_plan(values)
    if plan is not None:
        assert len(plan.layout("main-a").checkpoints) < 20_000
        estimate(plan, gpu="H100", utilisation=0.4)


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp"]), max_size=60
)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)


@st.composite
def plans(draw):
    """Configurations without mistakes, with texts of all kinds."""
    values = valid()
    values["description"] = draw(WORDS)
    values["experiment"] = draw(NAMES.filter(lambda name: name != "lineage"))
    run = values["suites"]["main"]["runs"].pop("a")
    run["steps"] = draw(st.integers(101, 100_000))
    run["optimizer"] = {"learning_rate": draw(st.floats(1e-9, 1.0))}
    run["seed"] = draw(st.integers(0, 2**63 - 1))
    values["suites"]["main"]["runs"] = dict.fromkeys(
        draw(st.sets(NAMES, min_size=1, max_size=3)), run
    )
    values["suites"]["main"]["description"] = draw(WORDS)
    path = draw(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1))
    assume("**" not in path and not {"{", "}"} & {*path})
    values["corpora"]["text"]["train"] = [{"kind": "files", "paths": [path[:900]]}]
    return copy.deepcopy(values)


@given(plans())
@settings(max_examples=60)
def test_a_plan_is_written_and_read_as_the_same(tmp_path_factory, values):
    plan = resolve(values, {})
    path = tmp_path_factory.getbasetemp() / "plan.yaml"
    path.write_text(yaml.safe_dump(_resolved(plan), sort_keys=False, allow_unicode=True), "utf-8")
    again = load([path])
    assert again.runs == plan.runs and again.experiment.corpora == plan.experiment.corpora
    assert again.experiment.description == plan.experiment.description


@given(st.binary(max_size=200) | st.text(st.characters(codec="utf-8")).map(str.encode))
@settings(max_examples=200)
def test_any_bytes_are_a_mapping_or_a_mistake(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(data)
    try:
        assert isinstance(read_yaml(path), dict)
    except ConfigError as error:
        assert str(path) in str(error)


def test_doubled_keys_are_found_and_merged_ones_are_not(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: {<<: [*a, {z: 4}]}\n")
    assert read_values(path)["b"] == {"x": 3, "y": 2}
    path.write_text("a: {x: 1, y: 2, x: 1}\n")
    with pytest.raises(BrokenFileError, match="the key 'x' a second time"):
        read_values(path)
