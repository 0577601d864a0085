"""Table 7: deceleration measurements and BNSL parameters by optimizer."""

from __future__ import annotations

from zsl.tables.layout import Table
from zsl.tables.measurements_and_parameters import columns, notes, rows

TABLE = Table(rows, columns, notes, heading="Optimizer")
