"""Fig. 24: evaluation loss on the same sequences, by sequence length and by batch size."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from zsl.errors import ZslError
from zsl.figures import style
from zsl.figures.batch_sequence import batch_tokens, legend, looks, sequence_length
from zsl.figures.by_step import draw_by_step
from zsl.study import RunInfo, Study

EFFECTS = {"sequence length": sequence_length, "batch size": batch_tokens}
"""What is compared in a column of panels, while the other of both stays."""
COLUMNS = ["part", "effect", "run", "label", "imported", "baseline", "step", "loss"]
TRAIN: dict[str, Any] = {"marker": "", "linewidth": 0.7, "alpha": 0.6}
EVAL: dict[str, Any] = {"marker": "o", "markersize": 2.2}


def data(study: Study) -> pd.DataFrame:
    """Columns part, effect, run, label, imported, baseline, step, loss (nats).

    Of each effect, ``baseline`` is the run with the smallest value and the other setting equal.
    Parts: ``eval_loss``, of the first such group; ``eval_difference`` and ``train_difference``,
    evaluation and smoothed train loss less the baseline's at that step; ``t_d``.
    """
    evaluated = study.curve("eval_loss").rename(columns={"eval_loss": "loss"})
    evaluated = evaluated[evaluated["step"] > 0]
    trained = study.curve("train_loss").drop(columns="train_loss")
    trained = trained.rename(columns={"smoothed_train_loss": "loss"})
    frames = []
    for effect, groups in _groups(study).items():
        for position, (baseline, *others) in enumerate(groups):
            if position == 0:
                kept = evaluated[evaluated["run"].isin([run.id for run in groups[0]])]
                frames.append(kept.assign(part="eval_loss", effect=effect))
            for part, curves in (("eval_difference", evaluated), ("train_difference", trained)):
                found = [_difference(curves, run, baseline) for run in others]
                frames.append(pd.concat(found).assign(part=part, effect=effect))
    if not frames:
        raise ZslError(
            "Fig. 24 compares runs that differ in batch size alone or in sequence length alone; "
            "suite batch_sequence has no two such runs"
        )
    table = pd.concat(frames, ignore_index=True).assign(imported=False)
    breaks = style.deceleration(study, table["run"])
    return pd.concat([table, breaks], ignore_index=True)[COLUMNS]


def _groups(study: Study) -> dict[str, list[list[RunInfo]]]:
    """Of each effect, runs that differ in nothing but it, the one with the smallest first."""
    made = [run for run in study.runs if not run.imported]
    groups = {}
    for effect, value in EFFECTS.items():
        (fixed,) = (other for name, other in EFFECTS.items() if name != effect)
        found = [
            sorted((run for run in made if fixed(run) == same), key=value)
            for same in sorted({fixed(run) for run in made})
        ]
        groups[effect] = [group for group in found if len(group) > 1]
    return {effect: found for effect, found in groups.items() if found}


def _difference(curves: pd.DataFrame, run: RunInfo, baseline: RunInfo) -> pd.DataFrame:
    """The loss of ``run`` less that of ``baseline``, at the steps that both have."""
    of_baseline = curves[curves["run"] == baseline.id].set_index("step")["loss"]
    rows = curves[curves["run"] == run.id].assign(baseline=baseline.id)
    rows["loss"] = rows["loss"] - rows["step"].map(of_baseline)
    return rows.dropna(subset="loss")


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """A column for each effect: losses above, differences to the baseline below."""
    effects = list(data["effect"].dropna().unique())
    figure = style.figure(style.DOUBLE, 3.6)
    panels = figure.subplots(2, len(effects), sharex=True, sharey="row", squeeze=False)
    shown = looks(study)
    for column, effect in zip(panels.T, effects, strict=True):
        rows = data[data["effect"] == effect]
        for axes in column:
            span = style.draw_deceleration(axes, data)
        for part, axes, look in (
            ("eval_loss", column[0], EVAL),
            ("train_difference", column[1], TRAIN),
            ("eval_difference", column[1], EVAL),
        ):
            draw_by_step(axes, rows, study, "loss", part=part, looks=shown, **look)
        column[0].set_title(f"effect of {effect}")
        column[0].set_xlabel("")
        column[1].axhline(0, color="0.35", linewidth=0.6, zorder=1)
    _label([*panels[:, 0]], data)
    grey: dict[str, Any] = {"color": "0.35"}
    entries = [
        *legend(study, data["run"]),
        Line2D([], [], label="evaluation", **EVAL, **grey),
        Line2D([], [], label="train (smoothed)", **TRAIN, **grey),
    ]
    figure.legend(handles=[*entries, *span], loc="outside upper center", ncols=4)
    return figure


def _label(first: list[Axes], data: pd.DataFrame) -> None:
    """Scales and labels of the vertical axes, which the panels of a line share."""
    losses = data.loc[data["part"] == "eval_loss", "loss"]
    first[0].set(yscale="log", ylabel="evaluation loss (nats)")
    style.log_plain(first[0].yaxis, losses.min(), losses.max())
    first[1].set_ylabel("difference to the\nsmallest setting (nats)")
