"""The grid that peak rates of arms are chosen on, and what the rule chooses."""

from __future__ import annotations

import pandas as pd

from zsl.arms import last
from zsl.errors import ZslError
from zsl.study import Study
from zsl.tables.layout import Column, Table, fixed, identity, scientific

SUITE = "mitigation_rates"


def grid(study: Study) -> pd.DataFrame:
    """Columns run, label, imported, arm, rate, loss, chosen: a row for each run of the grid.

    The arm is what stands before the last ``_`` of the run's name. ``loss`` is the evaluation loss
    at the last step (nats); ``chosen`` is the lowest of an arm, of equal ones that of the lowest
    rate. Runs whose loss is not finite, or not there, are not chosen.
    """
    losses = last(study.all_rows("eval_loss"), "eval_loss")
    rows = [
        {
            **identity(run),
            "arm": run.label.rpartition("_")[0] or run.label,
            "rate": float(run.settings["optimizer"].get("learning_rate", float("nan"))),
            "loss": losses.get(run.id, float("nan")),
        }
        for run in study.runs
        if run.suite == SUITE and not run.imported
    ]
    if not rows:
        raise ZslError(f"suite {SUITE} has no run that is trained here; add a grid of rates to it")
    table = pd.DataFrame(rows)
    best = table.sort_values("rate").groupby("arm")["loss"].idxmin().dropna()
    return table.assign(chosen=table.index.isin(best))


def edges(table: pd.DataFrame) -> list[str]:
    """Arms whose chosen rate is the lowest or highest of their grid of several."""
    found = []
    for arm, rows in table.groupby("arm", sort=False):
        ends = {rows["rate"].min(), rows["rate"].max()}
        if len(rows) > 1 and rows.loc[rows["chosen"], "rate"].isin(ends).any():
            found.append(str(arm))
    return found


def columns(study: Study) -> list[Column]:
    """Rate, last loss, and 1 where it is chosen."""
    return [
        Column("rate", r"$\eta$", "η", scientific),
        Column("loss", "$L_T$", "L<sub>T</sub>", fixed(4)),
        Column("chosen", "chosen", "chosen", lambda value: "yes" if value else ""),
    ]


def notes(study: Study, rows: pd.DataFrame) -> list[str]:
    """The rule, and where a wider grid might choose another rate."""
    said = ["Chosen: of each arm, the rate with the lowest evaluation loss at the last step."]
    if at_edge := edges(rows):
        said.append(f"At the edge of the grid: {', '.join(at_edge)}.")
    return said


def expected(study: Study) -> list[str]:
    """Labels of a complete table."""
    return [run.label for run in study.runs if run.suite == SUITE and not run.imported]


TABLE = Table(grid, columns, notes, expected, heading="Arm and rate")
