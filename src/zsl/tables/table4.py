"""Table 4: parameters of the one-break BNSL fits (Eq. 1) and their standard errors."""

from __future__ import annotations

from typing import Any

import pandas as pd

from zsl.study import Study
from zsl.tables.fits import fit_notes, fit_rows
from zsl.tables.layout import Column, Table, fixed

NAMES = ("b", "c_0", "c_1", "log_d_1", "f_1")


def rows(study: Study) -> pd.DataFrame:
    """Each parameter and its ``<parameter>_error``, and RSLE, of each fit, with T and cut."""
    return fit_rows(study, _values)


def _values(fit: dict[str, Any]) -> dict[str, Any]:
    values = {}
    for name in NAMES:
        values[name] = fit["parameters"][name]
        values[f"{name}_error"] = fit["errors"][name]
    return {**values, "RSLE": fit["RSLE"]}


def columns(study: Study) -> list[Column]:
    """The printed columns of the paper."""
    heads = {
        "b": ("$b$", "b", "b"),
        "c_0": ("$c_0$", "c<sub>0</sub>", "c_0"),
        "c_1": ("$c_1$", "c<sub>1</sub>", "c_1"),
        "log_d_1": (r"$\log(d_1)$", "log(d<sub>1</sub>)", "log(d_1)"),
        "f_1": ("$f_1$", "f<sub>1</sub>", "f_1"),
    }
    with_error = [
        Column(name, tex, html, fixed(2), paper, f"{name}_error")
        for name, (tex, html, paper) in heads.items()
    ]
    return [*with_error, Column("RSLE", "RSLE", "RSLE", fixed(3), "RSLE")]


def notes(study: Study, rows: pd.DataFrame) -> list[str]:
    """What a reader has to know beside the numbers."""
    same = rows["T"].nunique() == rows["cut"].nunique() == 1
    steps = f"{rows['cut'].iloc[0]} < t <= {rows['T'].iloc[0]}"
    return [*([f"Fitted to steps {steps}."] if same else []), *fit_notes(study, rows)]


TABLE = Table(rows, columns, notes)
