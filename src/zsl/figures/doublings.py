"""The changes from step t to 2t, which Figs 3 and 5 draw."""

from __future__ import annotations

import pandas as pd

from zsl.errors import ZslError
from zsl.study import Study


def doublings(study: Study) -> pd.DataFrame:
    """The changes from a step t >= 1 to 2t: the rows of delta_loss that Figs 3 and 5 draw."""
    table = _from_t_to_2t(study.curve("delta_loss"))
    if table.empty:
        raise ZslError(
            "delta_loss: no change from a step t to 2t is measured; Figs 3 and 5 need "
            "checkpoints at powers of two"
        )
    table = study.in_order(table.sort_values("step", kind="stable"))
    table["imported"] = table["run"].map({run.id: run.imported for run in study.runs})
    return table


def one_run(study: Study, run: str) -> pd.DataFrame:
    """The changes of one run, which may be a repetition with another seed, by step."""
    table = _from_t_to_2t(study.of_run("delta_loss", run))
    return table.sort_values("step", ignore_index=True)


def _from_t_to_2t(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["step"] > 0) & (table["step_next"] == 2 * table["step"])]
