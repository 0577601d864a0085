"""What Tables 5 and 8 share: the paper's other values for the same imported runs."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from zsl.study import Study
from zsl.tables.layout import Table


def other_values(table: Table, of: str) -> Callable[[Study, pd.DataFrame], list[str]]:
    """The notes of a main table, whose name is ``of``, and why imported rows differ from the
    paper's, if both are shown."""

    def notes(study: Study, rows: pd.DataFrame) -> list[str]:
        said = table.notes(study, rows)
        imported = rows.loc[rows["imported"], "label"]
        if imported.empty or not study.comparable:
            return said
        return [
            *said,
            f"Of {', '.join(imported)}, the paper gives other values here than in {of}, from "
            "the same public runs; how it prepared them is not published. Here the curves are "
            f"the same as in {of}.",
        ]

    return notes
