"""Table 8: measurements of loss deceleration (Eq. 2) of the runs with a cosine schedule."""

from __future__ import annotations

import pandas as pd

from zsl.study import Study
from zsl.tables import table1
from zsl.tables.cosine import notes_on_imported
from zsl.tables.layout import Column
from zsl.tables.measurements_and_parameters import exact_steps
from zsl.tables.table1 import HEADING, MISSING, expected, rows

__all__ = ["HEADING", "MISSING", "columns", "expected", "notes", "rows"]


def columns(study: Study) -> list[Column]:
    """The columns of Table 1, with t_d to single steps as in the paper."""
    return exact_steps(table1.columns(study))


def notes(study: Study, rows: pd.DataFrame) -> list[str]:
    """What a reader has to know beside the numbers."""
    return [*table1.notes(study, rows), *notes_on_imported(study, rows, other="Table 1")]
