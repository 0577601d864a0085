"""How a table's full-precision rows become printed cells, beside the paper's values.

Three frames follow from each other: ``rows`` (ours, full precision), :func:`compared` (with
the paper's values and the deviations; the CSV) and :func:`printed` (strings with the printed
digits; LaTeX, Markdown and HTML).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import pandas as pd

from zsl.study import RunInfo, Study

ABSENT = "–"
"""Printed where there is no value."""
DOUBTFUL = "†"
"""Marks the label of a row with ``doubts``."""


@dataclass(frozen=True)
class Column:
    """A printed column: which values, under which heading, with which digits."""

    name: str
    """Column of the rows."""
    tex: str
    """Heading in LaTeX."""
    html: str
    """Heading in HTML."""
    show: Callable[[float], str]
    """The value as printed."""
    paper: str | None = None
    """The column's name in the paper's table, if it is there."""
    error: str | None = None
    """Column of the rows with the ± error."""
    deviation: Callable[[float], str] | None = None
    """The deviation as printed, if not with ``show``."""
    within: tuple[str, str] | None = None
    """Columns of the rows with the ends of an interval that says how many digits our value has."""

    @property
    def text(self) -> str:
        """Heading in Markdown: the paper's column, or ours."""
        return self.paper or self.name


@dataclass(frozen=True)
class Table:
    """What the module of a table offers as ``TABLE``."""

    rows: Callable[[Study], pd.DataFrame]
    """Full-precision values; the first columns are run, label, imported."""
    columns: Callable[[Study], list[Column]]
    """How they are printed."""
    notes: Callable[[Study, pd.DataFrame], list[str]] = lambda study, rows: []
    """What is not comparable, a sentence each."""
    expected: Callable[[Study], list[str]] = lambda study: list(study.labels())
    """Labels of a complete table."""
    heading: str = "Model"
    """Heading of the labels."""
    missing: str = "without a fit"
    """Why a row can be missing."""


def fixed(digits: int) -> Callable[[float], str]:
    """Print with a number of decimals; a zero has no sign."""
    return lambda value: f"{value:z.{digits}f}"


def integer(value: float) -> str:
    """Print a whole number."""
    return f"{round(value)}"


def thousands(value: float) -> str:
    """Print a whole number with commas."""
    return f"{round(value):,}"


def hundreds(value: float) -> str:
    """Print a step as the paper does, to hundreds; to tens below 1,000."""
    unit = 100 if value >= 1000 else 10
    return f"{unit * round(value / unit)}"


def as_known(value: float, low: float, high: float) -> str:
    """Print a value to the second digit of half the length of its interval."""
    digits = 1 - math.floor(math.log10((high - low) / 2))
    return f"{round(value, digits):z.{max(digits, 0)}f}"


def scientific(value: float) -> str:
    """Print as the paper's rates, such as ``1.3E-3``."""
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}E{int(exponent)}"


def identity(run: RunInfo) -> dict[str, Any]:
    """The first columns of a row: which run it is about."""
    return {"run": run.id, "label": run.label, "imported": run.imported}


def in_paper(table: str) -> bool:
    """Whether the paper has the table, so that its values are kept."""
    return resources.files("zsl.tables").joinpath("paper", f"{table}.csv").is_file()


def paper_values(table: str) -> pd.DataFrame:
    """The paper's table as printed there, indexed by its first column, the label."""
    path = resources.files("zsl.tables").joinpath("paper", f"{table}.csv")
    with path.open(encoding="utf-8") as file:
        return pd.read_csv(file, index_col=0)


def paper_half_units(table: str) -> pd.DataFrame:
    """Half a unit of the last digit of each printed value, indexed as :func:`paper_values`.

    Whole numbers that all end in zeros are printed to tens or hundreds.
    """
    path = resources.files("zsl.tables").joinpath("paper", f"{table}.csv")
    with path.open(encoding="utf-8") as file:
        printed = pd.read_csv(file, index_col=0, dtype=str)
    return printed.apply(_half_units)


def _half_units(printed: pd.Series) -> pd.Series:
    whole = [text for text in printed.dropna() if text.isdigit()]
    zeros = min((len(text) - len(text.rstrip("0")) for text in whole), default=0)

    def half_unit(text: str) -> float:
        mantissa, _, exponent = text.upper().partition("E")
        decimals = len(mantissa.partition(".")[2])
        return 0.5 * 10.0 ** (int(exponent or 0) - decimals + (zeros if text.isdigit() else 0))

    return printed.map(half_unit, na_action="ignore")


def compared(
    table: str, study: Study, rows: pd.DataFrame, columns: Sequence[Column]
) -> pd.DataFrame:
    """Rows with ``<name>_paper`` and ``<name>_deviation`` (ours − paper) beside each value.

    Returned as they are where the study is not comparable or the paper has none of the labels.
    """
    if not study.comparable or not in_paper(table):
        return rows
    paper = paper_values(table)
    if not rows["label"].isin(paper.index).any():
        return rows
    result = rows.copy()
    for column in columns:
        if column.paper not in paper.columns:
            continue
        theirs = rows["label"].map(paper[column.paper])
        at = list(result.columns).index(column.name) + 1 + (column.error is not None)
        if column.error is not None:
            errors = rows["label"].map(paper[f"{column.paper}_err"])
            result.insert(at, f"{column.error}_paper", errors)
        result.insert(at, f"{column.name}_paper", theirs)
        result.insert(at + 1, f"{column.name}_deviation", rows[column.name] - theirs)
    return result


def printed(rows: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """Strings to print: ``label``, a column for each of ``columns``, and, where there are
    deviations, ``value``: lines *ours*, *paper* and *deviation* for each row.
    """
    has_paper = any(name.endswith("_deviation") for name in rows.columns)
    lines: list[dict[str, str]] = []
    for _, row in rows.iterrows():
        label = row["label"] + "*" * bool(row["imported"]) + DOUBTFUL * bool(row.get("doubts"))
        ours = {column.name: _cell(row, column) for column in columns}
        if not has_paper:
            lines.append({"label": label, **ours})
            continue
        lines.append({"label": label, "value": "ours", **ours})
        if any(pd.notna(row.get(f"{column.name}_paper")) for column in columns):
            paper = {column.name: _cell(row, column, "_paper") for column in columns}
            deviation = {column.name: _deviation(row, column) for column in columns}
            lines.append({"label": "", "value": "paper", **paper})
            lines.append({"label": "", "value": "deviation", **deviation})
    return pd.DataFrame(lines)


def _cell(row: pd.Series, column: Column, suffix: str = "") -> str:
    value = row.get(column.name + suffix)
    if pd.isna(value):
        return "" if suffix else ABSENT
    if column.within is not None and not suffix:
        low, high = (row.get(name, float("nan")) for name in column.within)
        return as_known(value, low, high) if high > low else column.show(value)
    if column.error is None:
        return column.show(value)
    return f"{column.show(value)} ± {column.show(row[column.error + suffix])}"


def _deviation(row: pd.Series, column: Column) -> str:
    value = row.get(f"{column.name}_deviation")
    if pd.isna(value):
        return ""
    show = column.deviation or column.show
    text = show(value)
    return text if text.startswith("-") else f"+{text}"


def common_notes(
    table: str, study: Study, rows: pd.DataFrame, expected: Sequence[str], missing: str
) -> list[str]:
    """Notes that any table needs: rows that are imported, left out, or in the paper only.

    ``expected`` are the labels that a complete table would have, ``missing`` says why one of
    them has no row.
    """
    notes = ["* imported, not trained here."] if rows["imported"].any() else []
    if "doubts" in rows:
        doubtful = rows[rows["doubts"] != ""]
        notes += [
            f"{DOUBTFUL} Doubtful, {label}: {doubts}."
            for label, doubts in zip(doubtful["label"], doubtful["doubts"], strict=True)
        ]
    here = set(rows["label"])
    absent = [label for label in expected if label not in here]
    if absent:
        notes.append(f"Left out, {missing}: {', '.join(absent)}.")
    if study.comparable and in_paper(table):
        known = here.union(absent)
        theirs = [label for label in paper_values(table).index if label not in known]
        if theirs:
            notes.append(f"In the paper, but not here: {', '.join(theirs)}.")
    return notes
