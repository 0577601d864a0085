"""Table 5: parameters of the one-break BNSL fits (Eq. 1) of the runs with a cosine schedule."""

from __future__ import annotations

from zsl.tables import table4
from zsl.tables.cosine import other_values
from zsl.tables.layout import Table

TABLE = Table(table4.rows, table4.columns, other_values(table4.TABLE, of="Table 4"))
