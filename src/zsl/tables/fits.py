"""What Tables 1 and 4 share: a row for each fit, and notes on which fits are comparable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from zsl.errors import ZslError
from zsl.fits.words import in_words
from zsl.study import Study
from zsl.tables.layout import identity


def fit_rows(study: Study, values: Callable[[dict[str, Any]], dict[str, Any]]) -> pd.DataFrame:
    """A row for each run with a fit: run, label, imported, ``values`` of the fit, T and cut.

    ``<name>_low`` and ``<name>_high`` end the bootstrap's interval of each of the values that has
    one; ``doubts`` says why the fit is doubtful, in words.
    """
    info = {run.id: run for run in study.runs}
    rows = []
    for fit in study.fits():
        shown = values(fit)
        row = {**identity(info[fit["run"]]), **shown, "T": fit["T"], "cut": fit["cut"]}
        rows.append({**row, **_ends(fit, shown), "doubts": in_words(fit["doubts"])})
    if not rows:
        raise ZslError(f"{study.experiment}: no run has a fit; expected fits/<run>.json")
    return pd.DataFrame(rows)


def _ends(fit: dict[str, Any], shown: dict[str, Any]) -> dict[str, float]:
    ends: dict[str, float] = {}
    for name, (low, high) in fit.get("intervals", {}).items():
        if name in shown:
            ends |= {f"{name}_low": low, f"{name}_high": high}
    return ends


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
