"""A comparison as CSV, Markdown and a page of the report, with what it amounts to above it."""

from __future__ import annotations

import html

import pandas as pd

from zsl.compare.tables import TREND
from zsl.tables.render import STYLE, html_text, md_text

TITLE = "Ours against the paper"
DIGITS = 4


def summary(table: pd.DataFrame, experiment: str) -> list[str]:
    """Sentences: how many values are comparable, how close they are, and why others are not."""
    comparable = table[(table["comparable"] == "yes") & table["deviation"].notna()]
    values = comparable[~comparable["remark"].str.endswith(TREND)]
    said = [f"{TITLE}: {len(values)} of {len(table)} rows of {experiment} are comparable values."]
    for source, rows in values.groupby("source", sort=False):
        line = f"{source}: median deviation {100 * rows['relative'].abs().median():.2g} %"
        printed = rows[rows["rounding"] != ""]
        if len(printed):
            within = (printed["rounding"] == "within").sum()
            line += f"; {within} of {len(printed)} within the printed rounding"
        said.append(f"{line}.")
    for trend in comparable[comparable["remark"].str.endswith(TREND)].itertuples():
        said.append(
            f"{trend.source}, {trend.quantity}: {trend.ours:.2g} {trend.row}: {trend.theirs:.2g}; "
            f"{trend.remark}."
        )
    doubtful = values[values["remark"].str.contains("doubtful fit")]
    for marked in doubtful.drop_duplicates(["source", "row"]).itertuples():
        said.append(f"{marked.source}, {marked.row}: {marked.remark}.")
    others = table[table["comparable"] == "no"]
    for remark, rows in others.groupby("remark", sort=False):
        said.append(f"Not comparable, {remark}: {len(rows)} rows.")
    return said


def markdown(table: pd.DataFrame, experiment: str) -> str:
    """The sentences, then a pipe table."""
    cells = _cells(table).map(md_text)
    body = cells.to_markdown(index=False, disable_numparse=True)
    return "\n\n".join([*map(md_text, summary(table, experiment)), body]) + "\n"


def page(table: pd.DataFrame, experiment: str) -> str:
    """A page that needs nothing else."""
    said = "".join(f"<p>{html_text(line)}</p>\n" for line in summary(table, experiment))
    body = _cells(table).map(html_text).to_html(index=False, escape=False, border=0)
    head = f'<meta charset="utf-8">\n<title>{html.escape(TITLE)}</title>\n<style>{STYLE}</style>'
    return f"<!doctype html>\n{head}\n{said}{body}\n"


def _cells(table: pd.DataFrame) -> pd.DataFrame:
    """Strings to print: numbers with four digits, nothing where there is no value."""
    shown = table.drop(columns="relative").astype(object)
    shown.insert(7, "relative", table["relative"].map(lambda value: f"{100 * value:+.2g} %"))
    for name in ("ours", "theirs", "deviation"):
        shown[name] = table[name].map(lambda value: f"{value:.{DIGITS}g}")
    shown["step"] = table["step"].map(lambda value: "" if pd.isna(value) else f"{value}")
    empty = table[["ours", "theirs", "deviation"]].isna()
    for name in list(empty.columns):
        shown.loc[empty[name], name] = "–"
    shown.loc[empty["deviation"], "relative"] = "–"
    return shown.astype(str)
