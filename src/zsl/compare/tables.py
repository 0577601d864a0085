"""The values of our tables beside those that the paper prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from zsl.compare.frame import frame, row
from zsl.registry import BY_ID
from zsl.study import Study, read_csv
from zsl.tables.layout import Column, paper_half_units, paper_values
from zsl.tables.render import made_as

TREND = "only signs are compared"
SAME_T = 0.01
"""Fits over curves whose last steps differ by more than this share are not comparable."""


def compare_table(
    table: str, path: Path, study: Study, paper_T: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Rows for every value that the paper prints in ``table``; ours are those in ``path``.

    ``paper_T`` gives the last step of the curves that the paper fitted, by label, if known.
    """
    ours = read_csv(path, ("label",)).set_index("label")
    theirs, halves = paper_values(table), paper_half_units(table)
    columns = made_as(table).columns(study)
    known = {column.paper: column for column in columns if column.paper in theirs.columns}
    mine_by_label: dict[Any, dict[Any, Any]] = ours.to_dict("index")
    half_by_label: dict[Any, dict[Any, float]] = halves.to_dict("index")
    rows = []
    for label, printed in theirs.to_dict("index").items():
        mine = mine_by_label.get(label)
        comparable, remark = _verdict(study, mine, (paper_T or {}).get(str(label)))
        for name, column in known.items():
            value = float("nan") if mine is None else float(mine[column.name])
            rows.append(
                row(
                    source=BY_ID[table].heading,
                    row=str(label),
                    quantity=column.name,
                    ours=value,
                    theirs=float(printed[name]),
                    half_unit=float(half_by_label[label][name]),
                    comparable=comparable and not np.isnan(value),
                    remark=remark or ("" if not np.isnan(value) else "no value here"),
                )
            )
    return frame([*rows, *_trends(table, ours, theirs, list(known.values()), study)])


def _verdict(
    study: Study, mine: Mapping[Any, Any] | None, paper_T: float | None
) -> tuple[bool, str]:
    """Whether a row is comparable, and what has to be said of it."""
    if not study.comparable:
        return False, f"models and data of {study.experiment} are its own"
    if mine is None:
        return False, "no such run here"
    T = mine.get("T")
    if T is not None and paper_T is not None and abs(T - paper_T) > SAME_T * paper_T:
        return False, f"fitted up to T = {T:.0f} here, {paper_T:.0f} in the paper"
    said = "the authors' curve, fitted again" if bool(mine.get("imported", False)) else ""
    doubts = mine.get("doubts")
    doubtful = f"doubtful fit, {doubts}" if isinstance(doubts, str) and doubts else ""
    return True, "; ".join(filter(None, (said, doubtful)))


def _trends(
    table: str,
    ours: pd.DataFrame,
    theirs: pd.DataFrame,
    columns: Sequence[Column],
    study: Study,
) -> list[dict[str, Any]]:
    """Whether a fitted value goes the same way with model size: signs may be compared anywhere.

    Spearman's rank correlation of the value with the order of sizes.
    """
    if table not in TRENDS:
        return []
    rows = []
    for column in columns:
        if column.name not in TRENDS[table] or len(ours) < 3:
            continue
        mine, paper = (
            float(spearmanr(np.arange(len(values)), values).statistic)
            for values in (ours[column.name], theirs[column.paper])
        )
        same = "the same sign" if np.sign(mine) == np.sign(paper) else "another sign"
        rows.append(
            row(
                source=BY_ID[table].heading,
                row=f"over {len(ours)} sizes, {len(theirs)} in the paper",
                quantity=f"rank correlation of {column.name} with size",
                ours=mine,
                theirs=paper,
                comparable=True,
                remark=f"{same}; {TREND}",
            )
        )
    return rows


TRENDS = {
    "table1": ("L_d", "t_d", "r_d", "L_T"),
    "table8": ("L_d", "t_d", "r_d", "L_T"),
}
"""Values whose change with model size the paper speaks of, by table."""
