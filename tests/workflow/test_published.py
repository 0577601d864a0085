"""The authors' curves, refitted, give the digits that the paper prints in Tables 1 and 4."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from zsl.files import read_json

pytestmark = pytest.mark.slow

FOLDER = os.environ.get("ZSL_PUBLISHED_DIR")
ELSEWHERE = {("144M", "t_d"): "6100", ("OLMo-7B", "L_hat_T"): "2.05"}
"""Printed otherwise here: the fit gives 6074 steps, the paper prints 6000; and 2.04503 nats, where
the authors' fit, which counts the last step twice, gave 2.04492."""


@pytest.fixture(scope="module")
def published(pristine, tmp_path_factory):
    if not FOLDER:
        pytest.skip("ZSL_PUBLISHED_DIR is not set: no copy of the authors' curves")
    project = pristine.copy(tmp_path_factory.mktemp("published") / "project")
    project = replace(
        project,
        configfile="config/published.yaml",
        experiment="published",
        variables={"ZSL_PUBLISHED_DIR": FOLDER},
    )
    project.snakemake()
    return project


def rows(path: Path, key: str) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return {row[key]: row for row in csv.DictReader(file)}


def as_printed(value: str, like: str, unit: int) -> str:
    """``value`` rounded to ``unit`` or, where that is 1, to the decimals of ``like``."""
    if unit > 1:
        return str(unit * round(float(value) / unit))
    return f"{float(value):z.{-int(Decimal(like).as_tuple().exponent)}f}"


@pytest.mark.parametrize("table", ["table1", "table4"])
def test_every_printed_digit(published, table):
    paper = rows(published.root / f"src/zsl/tables/paper/{table}.csv", "Model")
    ours = rows(published.results / f"tables/{table}.csv", "label")
    assert len(ours) >= 6
    for model, row in ours.items():
        for name, printed in paper[model].items():
            if name == "Model":
                continue
            column = name.replace("log(d_1)", "log_d_1").replace("_err", "_error")
            unit = 100 if name == "t_d" else 1
            expected = ELSEWHERE.get((model, name), printed)
            assert as_printed(row[column], expected, unit) == expected, (model, name)


def test_table_1_says_where_each_curve_ends(published):
    ours = rows(published.results / "tables/table1.csv", "label")
    for model, row in ours.items():
        curve = published.results / f"curves/train_loss/main-{model}.csv"
        last = curve.read_text().splitlines()[-1].split(",")
        assert int(float(last[1])) == int(row["T"])
        assert read_json(published.results / f"fits/main-{model}.json")["imported"] is True
