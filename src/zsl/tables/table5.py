"""Table 5: parameters of the one-break BNSL fits (Eq. 1) of the runs with a cosine schedule."""

from __future__ import annotations

import pandas as pd

from zsl.study import Study
from zsl.tables import table4
from zsl.tables.cosine import notes_on_imported
from zsl.tables.table4 import HEADING, MISSING, columns, expected, rows

__all__ = ["HEADING", "MISSING", "columns", "expected", "notes", "rows"]


def notes(study: Study, rows: pd.DataFrame) -> list[str]:
    """What a reader has to know beside the numbers."""
    return [*table4.notes(study, rows), *notes_on_imported(study, rows, other="Table 4")]
