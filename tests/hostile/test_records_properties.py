"""Any value in the place of another in a record, and any bytes for one, end no question."""

from __future__ import annotations

import io
import json
import shutil
from contextlib import redirect_stderr, redirect_stdout

import pytest
import small_records
from attacks.records_files import change_record
from hypothesis import given, settings
from hypothesis import strategies as st

from zsl.cli import main
from zsl.crate.run import read_run
from zsl.errors import ZslError

RECORDS = ["fits/main-1k", "data/c/manifest", "training/main-1k/00-32", "figures/fig03"]
ODD = ["", "..", "/etc/passwd", "a\0b", "\x1b[2J", "0" * 64, "lineage/", "results/small/", 10**30]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A small experiment of records, put back after each change."""
    return small_records.experiment(tmp_path_factory.mktemp("records") / "results" / "small")


def places(value, path=()):
    """Paths to every value of nested mappings and lists."""
    yield path
    nested = isinstance(value, dict | list)
    for key in (value if isinstance(value, dict) else range(len(value))) if nested else ():
        yield from places(value[key], (*path, key))


def ask(results) -> None:
    """Questions of all kinds: each is answered or refused in words."""
    for arguments in (
        ["audit", "--json"],
        ["lineage", "fig03", "--format", "mermaid"],
        ["lineage", "data/c/manifest.json"],
        ["explain", "main-1k", "main-2k", "--diff"],
    ):
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            try:
                code = main([*arguments, "--results", str(results)])
            except SystemExit as end:
                code = end.code
        assert code in (0, 1, 2) and said.getvalue().strip()
    try:
        read_run("results/small", results.parents[1])
    except ZslError as error:
        assert str(error)


def with_copy(results, change) -> None:
    """Ask after a change, and put everything back."""
    copy = results.parent / "copy"
    shutil.copytree(results, copy)
    try:
        change()
        ask(results)
    finally:
        shutil.rmtree(results)
        copy.rename(results)


@given(st.sampled_from(RECORDS), st.data(), VALUES)
@settings(max_examples=40)
def test_any_value_in_a_record_ends_no_question(results, name, data, value):
    path = results / "lineage" / f"{name}.json"
    content = json.loads(path.read_text())
    place = data.draw(st.sampled_from([p for p in places(content) if p]))

    def change(content):
        inner = content
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value

    with_copy(results, lambda: change_record(path, change))


@given(st.sampled_from([f"lineage/{name}.json" for name in RECORDS]), st.binary(max_size=100))
@settings(max_examples=10)
def test_any_bytes_for_a_record_end_no_question(results, name, data):
    with_copy(results, lambda: (results / name).write_bytes(data))
