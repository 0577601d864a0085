"""What Tables 5 and 8 share: the paper's other values for the same imported runs."""

from __future__ import annotations

import pandas as pd

from zsl.study import Study


def notes_on_imported(study: Study, rows: pd.DataFrame, other: str) -> list[str]:
    """Why imported rows differ from the paper's, if both are shown; ``other``: a main table."""
    imported = rows.loc[rows["imported"], "label"]
    if imported.empty or not study.comparable:
        return []
    return [
        f"Of {', '.join(imported)}, the paper gives other values here than in {other}, from "
        "the same public runs; how it prepared them is not published. Here the curves are the "
        f"same as in {other}."
    ]
