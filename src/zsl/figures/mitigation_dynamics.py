"""What interventions do to interference, and whether less of it comes with a lower loss."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from zsl import arms
from zsl.figures import style
from zsl.figures.arm_looks import legend, looks
from zsl.study import Study

SUITE = "mitigation"
CURVES = {
    "D": ("delta_loss", "$D$ from $t$ to $2t$"),
    "M": ("delta_loss", "$M$ (nats)"),
    "D_proxy": ("gradient_opposition", "proxy $D$"),
    "C_g": ("token_gradients", "$C_g$"),
}
LOGARITHMIC = ("M", "C_g")
COLUMNS = ["part", "arm", "quantity", "seed", "step", "value", "difference", "loss_difference"]


def data(study: Study) -> pd.DataFrame:
    """Columns ``COLUMNS``.

    Parts: ``curve``, each quantity at each checkpoint t > 0 and seed; ``last``, of each arm the
    differences from the baseline of a quantity late in training and of the last evaluation loss
    (nats), means over seeds. Late: D of the last interval, proxy D from a quarter of the steps on.
    """
    runs = arms.arms(study, SUITE)
    tables = {kind: study.all_rows(kind) for kind, _ in CURVES.values()}
    frames = []
    for quantity, (kind, _) in CURVES.items():
        for run in runs:
            for seed, id in enumerate(arms.seeds(study, run)):
                rows = tables[kind]
                rows = rows[(rows["run"] == id) & (rows["step"] > 0)]
                found = {"step": rows["step"], "value": rows[quantity], "seed": seed}
                frames.append(
                    pd.DataFrame(found).assign(part="curve", arm=run.label, quantity=quantity)
                )
    references = arms.against_baseline(runs)
    losses = arms.last(study.all_rows("eval_loss"), "eval_loss")
    of_loss = arms.compare(arms.per_seed(study, SUITE, losses), references)
    loss = dict(zip(of_loss["arm"], of_loss["difference"], strict=True))
    late = {
        "D": arms.last(tables["delta_loss"], "D"),
        "D_proxy": arms.late(tables["gradient_opposition"], "D_proxy"),
    }
    for quantity, by_run in late.items():
        compared = arms.compare(arms.per_seed(study, SUITE, by_run), references)
        frames.append(
            compared[["arm", "difference"]].assign(
                part="last", quantity=quantity, loss_difference=compared["arm"].map(loss)
            )
        )
    table = pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
    numbers = ("seed", "step", "value", "difference", "loss_difference")
    return table.reindex(columns=COLUMNS).astype(dict.fromkeys(numbers, float))


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Draw the four quantities by step, and two of them against the loss."""
    labels = [run.label for run in arms.arms(study, SUITE)]
    drawn = looks(labels)
    figure = style.figure(style.DOUBLE, 4.6)
    panels = figure.subplots(2, 3)
    curves = data[data["part"] == "curve"]
    for axes, (quantity, (_, said)) in zip(panels[:, :2].ravel(), CURVES.items(), strict=True):
        for arm, rows in curves[curves["quantity"] == quantity].groupby("arm", sort=False):
            mean = rows.groupby("step")["value"].mean()
            axes.plot(mean.index, mean, marker="", **drawn[str(arm)])
        if quantity in LOGARITHMIC:
            axes.set_yscale("log")
            style.log_ticks(axes.yaxis, *axes.get_ylim())
        style.log_steps(axes)
        axes.set_ylabel(said)
    for axes, quantity in zip(panels[:, 2], ("D", "D_proxy"), strict=True):
        rows = data[(data["part"] == "last") & (data["quantity"] == quantity)]
        for row in rows.to_dict("records"):
            filled = drawn[row["arm"]]["linestyle"] == "-"
            colour = drawn[row["arm"]]["color"]
            face = colour if filled else "white"
            axes.plot(
                row["difference"], row["loss_difference"], "o", color=colour, markerfacecolor=face
            )
        axes.axhline(0, color="0.6", linewidth=0.6)
        axes.axvline(0, color="0.6", linewidth=0.6)
        spread = np.nanmax(np.abs(rows["loss_difference"].to_numpy(float)), initial=0.0)
        if spread > 0.1:
            axes.set_yscale("symlog", linthresh=0.02)
        axes.set_xlabel(f"{'proxy ' * (quantity == 'D_proxy')}$D$ − baseline")
        axes.set_ylabel("last loss − baseline (nats)")
    legend(figure, labels)
    return figure
