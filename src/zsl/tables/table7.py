"""Table 7: deceleration measurements and BNSL parameters by optimizer."""

from __future__ import annotations

from zsl.tables.measurements_and_parameters import columns, notes, rows
from zsl.tables.table4 import MISSING, expected

__all__ = ["HEADING", "MISSING", "columns", "expected", "notes", "rows"]

HEADING = "Optimizer"
