"""Table 8: measurements of loss deceleration (Eq. 2) of the runs with a cosine schedule."""

from __future__ import annotations

from zsl.study import Study
from zsl.tables import table1
from zsl.tables.cosine import other_values
from zsl.tables.layout import Column, Table
from zsl.tables.measurements_and_parameters import exact_steps


def columns(study: Study) -> list[Column]:
    """The columns of Table 1, with t_d to single steps as in the paper."""
    return exact_steps(table1.columns(study))


TABLE = Table(table1.rows, columns, other_values(table1.TABLE, of="Table 1"))
