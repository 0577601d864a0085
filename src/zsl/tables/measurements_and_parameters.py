"""What Tables 6 and 7 share: deceleration measurements beside BNSL parameters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from zsl.study import Study
from zsl.tables import table1, table4
from zsl.tables.layout import Column, integer

MEASURED = ("L_d", "t_d", "r_d")
LAST = ("T", "cut")


def rows(study: Study) -> pd.DataFrame:
    """L_d (nats), t_d (steps), r_d, the parameters with errors, RSLE, T and cut of each fit."""
    measured, parameters = table1.rows(study), table4.rows(study)
    further = [name for name in parameters.columns if name not in measured.columns]
    table = measured.drop(columns=["L_hat_T", "L_T"]).join(parameters[further])
    return table[[name for name in table.columns if name not in LAST] + list(LAST)]


def columns(study: Study) -> list[Column]:
    """The printed columns of the paper, then T."""
    shown = [column for column in table1.columns(study) if column.name in MEASURED]
    (T,) = (column for column in table1.columns(study) if column.name == "T")
    return [*exact_steps(shown), *table4.columns(study), T]


def notes(study: Study, rows: pd.DataFrame) -> list[str]:
    """What a reader has to know beside the numbers, and which break is no deceleration."""
    faster = rows.loc[rows["c_1"] > 0, "label"]
    said = [
        f"No deceleration, since c_1 > 0: the loss of {', '.join(faster)} falls faster after t_d."
    ]
    return [*table4.notes(study, rows), *(said if len(faster) else [])]


def exact_steps(columns: Iterable[Column]) -> list[Column]:
    """The columns with t_d to single steps, as Tables 6 to 8 of the paper print it."""
    return [
        replace(column, show=integer, deviation=None) if column.name == "t_d" else column
        for column in columns
    ]
