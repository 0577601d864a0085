"""Our curves beside the published ones: smoothed loss, D and M, gradient opposition by proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zsl.compare.frame import frame, row
from zsl.curves.formats import authors_models
from zsl.curves.imported import published_curve
from zsl.study import Study, read_csv

LOSS_STEPS = 24
"""The smoothed loss is compared at this many log-spaced steps of the common range."""
OTHER_TEXT = "the paper evaluates on Paloma's copy of C4"
MEASURED = "the authors' checkpoints on {}, losses in float32, theirs in bfloat16"
OWN = "models and data of {} are its own"


def paper_T(path: Path) -> dict[str, float]:
    """The last step of each published curve, by the name of its model."""
    return {
        name: float(published_curve(name, path)["step"].iloc[-1]) for name in authors_models(path)
    }


def compare_losses(path: Path, study: Study) -> pd.DataFrame:
    """The smoothed train loss (Fig. 2) of runs named as a published curve in ``path``."""
    curves = study.curve("train_loss")
    published = authors_models(path)
    rows = []
    for run in study.runs:
        if run.label not in published:
            continue
        theirs = published_curve(run.label, path)
        ours = curves[curves["run"] == run.id]
        first = max(ours["step"].min(), theirs["step"].min())
        last = min(ours["step"].max(), theirs["step"].max())
        for step in np.unique(np.geomspace(first, last, LOSS_STEPS).round().astype(int)):
            mine, paper = (
                float(np.interp(np.log(step), np.log(c["step"]), c["smoothed_train_loss"]))
                for c in (ours, theirs)
            )
            rows.append(
                row(
                    source="Fig. 2",
                    row=run.label,
                    quantity="smoothed_train_loss",
                    step=int(step),
                    ours=mine,
                    theirs=paper,
                    comparable=study.comparable,
                    remark="the authors' curve"
                    if run.imported or run.logged_elsewhere
                    else _own(study),
                )
            )
    return frame(rows)


def compare_measured(path: Path, study: Study, kind: str, text: str = "") -> pd.DataFrame:
    """A measured curve beside the published values in ``path`` by model, quantity and step.

    ``text``: what checkpoints of others are evaluated on; empty where ours are.
    Raises ZslError when the file has not the published columns.
    """
    published = read_csv(path, ("paper_figure", "quantity", "model", "step", "value"))
    names = {"D_grad_proxy": "D_proxy"}
    ours: dict[Any, dict[Any, Any]] = (
        study.curve(kind).set_index(["label", "step"]).to_dict("index")
    )
    by_construction = [OTHER_TEXT, *([MEASURED.format(text)] if text else [])]
    rows = []
    value: Any
    for value in published.itertuples():
        name = names.get(value.quantity, value.quantity)
        mine = ours.get((value.model, value.step), {})
        if name not in mine:
            continue
        rows.append(
            row(
                source="Fig. 5" if pd.isna(value.paper_figure) else str(value.paper_figure),
                row=value.model,
                quantity=name,
                step=value.step,
                ours=mine[name],
                theirs=value.value,
                comparable=study.comparable,
                remark=_own(study) or "; ".join(by_construction),
            )
        )
    return frame(rows)


def _own(study: Study) -> str:
    return "" if study.comparable else OWN.format(study.experiment)
