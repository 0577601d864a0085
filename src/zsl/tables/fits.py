"""What Tables 1 and 4 share: a row for each fit, and notes on which fits are comparable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from zsl.errors import ZslError
from zsl.study import Study
from zsl.tables.layout import identity


def fit_rows(study: Study, values: Callable[[dict[str, Any]], dict[str, Any]]) -> pd.DataFrame:
    """A row for each run with a fit: run, label, imported, ``values`` of the fit, T and cut."""
    info = {run.id: run for run in study.runs}
    rows = [
        {**identity(info[fit["run"]]), **values(fit), "T": fit["T"], "cut": fit["cut"]}
        for fit in study.fits()
    ]
    if not rows:
        raise ZslError(f"{study.experiment}: no run has a fit; expected fits/<run>.json")
    return pd.DataFrame(rows)


def fit_notes(study: Study, rows: pd.DataFrame) -> list[str]:
    """Notes on the origin of imported curves, and on fits that cannot be compared."""
    notes = sorted({f"* {fit['note']}" for fit in study.fits() if fit.get("note")})
    if rows["T"].nunique() > 1:
        notes.append(
            f"The rows mix T, from {rows['T'].min()} to {rows['T'].max()}: two fits are "
            "comparable only at the same T."
        )
    if rows["cut"].nunique() > 1:
        notes.append("The rows mix cut, the last step left out of a fit.")
    return notes
