"""Write a table as CSV (full precision), LaTeX, Markdown and HTML (printed digits)."""

from __future__ import annotations

import html
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from zsl.files import write_text
from zsl.registry import BY_ID, Target
from zsl.study import Study, write_csv
from zsl.tables.layout import Column, Table, common_notes, compared, printed

STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 1.5em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .6em; max-width: 45em; }
th, td { padding: .15em .7em; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead { border-top: 2px solid; border-bottom: 1px solid; }
tbody { border-bottom: 2px solid; }
p { font-size: 12px; margin: .4em 0; max-width: 52em; }
"""
TEX = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}"} | {c: f"\\{c}" for c in "#$%&_"}
TEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$"}
TEX |= {"±": r"$\pm$", "–": "--", "−": "$-$"}


@dataclass(frozen=True)
class Printed:
    """A table ready for a writer: strings, their columns, a caption and notes."""

    target: Target
    caption: str
    first: str
    cells: pd.DataFrame
    columns: Sequence[Column]
    notes: Sequence[str]

    def headings(self, kind: str) -> list[str]:
        """Headings of ``cells`` as the field ``kind`` of the columns has them."""
        named = {column.name: getattr(column, kind) for column in self.columns}
        return [({"label": self.first, "value": ""} | named)[name] for name in self.cells.columns]


def made_as(table: str) -> Table:
    """How a table is made, such as ``table1``."""
    made: Table = importlib.import_module(BY_ID[table].module).TABLE
    return made


def write(
    table: str, study: Study, files: Mapping[str, str | Path], caption: str | None = None
) -> None:
    """Write a table as ``files``: paths by format, of ``csv``, ``tex``, ``md``, ``html``."""
    made = made_as(table)
    rows, columns = made.rows(study), made.columns(study)
    with_paper = compared(table, study, rows, columns)
    target = BY_ID[table]
    common = common_notes(table, study, rows, made.expected(study), made.missing)
    notes = [*common, *made.notes(study, rows)]
    text = Printed(
        target,
        caption or f"{target.heading}: {target.title}.",
        made.heading,
        printed(with_paper, columns),
        columns,
        notes,
    )
    writers = {"tex": latex, "md": markdown, "html": html_page}
    for format, path in files.items():
        if format == "csv":
            write_csv(path, with_paper)
        else:
            write_text(path, writers[format](text))


def latex(table: Printed) -> str:
    """A ``table`` environment with booktabs rules, to be read with ``\\input``."""
    cells = table.cells.map(tex_text)
    cells.columns = pd.Index(table.headings("tex"))
    body = cells.to_latex(
        index=False,
        escape=False,
        column_format="l" * (1 + ("value" in table.cells)) + "r" * len(table.columns),
        caption=tex_text(table.caption.removeprefix(f"{table.target.heading}: ")),
        label=f"tab:{table.target.id}",
        position="t",
    )
    notes = "".join(f"\\par\\smallskip\\footnotesize {tex_text(n)}\n" for n in table.notes)
    return body.replace("\\begin{table}[t]\n", "\\begin{table}[t]\n\\centering\n").replace(
        "\\end{table}", notes + "\\end{table}"
    )


def tex_text(text: str) -> str:
    """Text for LaTeX: special characters escaped, minus, ± and arrows in mathematics."""
    if text[:1] == "-" and text[1:2].isdigit():
        return f"$-${tex_text(text[1:])}"
    parts = ("".join(TEX.get(c, c) for c in part) for part in text.split("->"))
    return r"$\rightarrow$".join(parts)


def markdown(table: Printed) -> str:
    """A pipe table with its caption above and its notes below."""
    left = 1 + ("value" in table.cells)
    body = table.cells.map(md_text).to_markdown(
        index=False,
        headers=[md_text(name) for name in table.headings("text")],
        disable_numparse=True,
        colalign=["left"] * left + ["right"] * len(table.columns),
    )
    notes = "".join(f"\n{md_text(note)}\n" for note in table.notes)
    return f"{md_text(table.caption)}\n\n{body}\n{notes}"


def md_text(text: str) -> str:
    """Text for Markdown: what would mark it up is escaped; underscores within words do not."""
    return "".join(f"\\{c}" if c in "\\*|<`" else c for c in text.replace("->", "→"))


def html_page(table: Printed) -> str:
    """A small page that needs nothing else."""
    cells = table.cells.map(html_text)
    cells.columns = pd.Index(table.headings("html"))
    body = cells.to_html(index=False, escape=False, border=0, justify="unset")
    caption = f"<caption>{html_text(table.caption)}</caption>"
    body = body.replace("\n", f"\n  {caption}\n", 1)
    notes = "".join(f"<p>{html_text(note)}</p>\n" for note in table.notes)
    head = (
        f'<meta charset="utf-8">\n<title>{table.target.heading}</title>\n<style>{STYLE}</style>\n'
    )
    return f"<!doctype html>\n{head}{body}\n{notes}"


def html_text(text: str) -> str:
    """Text for HTML: special characters escaped, arrows and minus as such."""
    text = html.escape(text.replace("->", "→"))
    return f"−{text[1:]}" if text[:1] == "-" else text
