"""The rows of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

COLUMNS = [
    "source",
    "row",
    "quantity",
    "step",
    "ours",
    "theirs",
    "deviation",
    "relative",
    "rounding",
    "comparable",
    "remark",
]


def row(
    *,
    source: str,
    row: str,
    quantity: str,
    ours: float,
    theirs: float,
    comparable: bool,
    remark: str,
    step: int | None = None,
    half_unit: float | None = None,
) -> dict[str, Any]:
    """One value of ours beside one of theirs; ``half_unit`` of the last digit, where printed."""
    deviation = ours - theirs
    # A value exactly between two printed ones may be printed as either.
    within = None if half_unit is None else abs(deviation) <= half_unit * (1 + 1e-9)
    return {
        "source": source,
        "row": row,
        "quantity": quantity,
        "step": step,
        "ours": ours,
        "theirs": theirs,
        "deviation": deviation,
        "relative": deviation / theirs if theirs else float("nan"),
        "rounding": "" if within is None or ours != ours else ("within" if within else "beyond"),
        "comparable": "yes" if comparable else "no",
        "remark": remark,
    }


def frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table with the columns of a comparison."""
    return pd.DataFrame(rows, columns=COLUMNS).astype({"step": "Int64"})
