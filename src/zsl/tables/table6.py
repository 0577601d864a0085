"""Table 6: deceleration measurements and BNSL parameters by batch size and sequence length."""

from __future__ import annotations

import pandas as pd

from zsl.study import Study
from zsl.tables import measurements_and_parameters as common
from zsl.tables.layout import Column, Table, thousands


def rows(study: Study) -> pd.DataFrame:
    """Tokens of a batch and of a sequence, then measurements and parameters of each fit."""
    table = common.rows(study)
    settings = table["run"].map({run.id: run.settings for run in study.runs})
    length = settings.map(lambda read: read["sequence_length"])
    table.insert(3, "batch_tokens", settings.map(lambda read: read["batch_size"]) * length)
    table.insert(4, "sequence_length", length)
    return table


def columns(study: Study) -> list[Column]:
    """The printed columns of the paper, then T."""
    return [
        Column("batch_tokens", "batch (tokens)", "batch (tokens)", thousands),
        Column("sequence_length", "seq. length", "seq. length", thousands),
        *common.columns(study),
    ]


TABLE = Table(rows, columns, common.notes, heading="Run")
