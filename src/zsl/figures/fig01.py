"""Fig. 1: deceleration of losses, and the changes of single tokens' losses that oppose it."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from zsl.errors import ZslError
from zsl.figures import loss_curves, style
from zsl.figures.by_step import draw_by_step
from zsl.figures.doublings import doublings, one_run
from zsl.study import Study

COLUMNS = [
    *("part", "run", "label", "imported", "step", "step_next", "loss", "c_0", "r_d"),
    *("low", "high", "density", "improved", "degraded", "D"),
]
REACH = 0.99
"""Part of the tokens that lies within the horizontal axes of the histograms."""


def data(study: Study) -> pd.DataFrame:
    """Columns part, run, label, imported, step, step_next, loss (nats), c_0, r_d, low, high,
    density, improved, degraded (nats a token), D.

    Parts: ``smoothed``, the train loss of each run; ``segment_1``, ``segment_2`` and ``t_d``, of
    the fits, as in Fig. 2, with their slopes c_0 and r_d; ``D``, of the changes from step t to
    2t, with the mean over all tokens of falls and of rises, ``improved`` and ``degraded``;
    ``before`` and ``after``, densities of such changes of the largest run: the last that ends by
    t_d, or the first of all, and the last of all.
    """
    curves = loss_curves.data(study)
    curves = curves[(curves["part"] != "fit") & ~curves["imported"].astype(bool)]
    of_fit = {fit["run"]: fit for fit in study.sound_fits()}
    at_break = curves["part"] == "t_d"
    broken = [of_fit[run] for run in curves.loc[at_break, "run"]]
    curves.loc[at_break, "c_0"] = [fit["parameters"]["c_0"] for fit in broken]
    curves.loc[at_break, "r_d"] = [fit["r_d"] for fit in broken]
    changes = doublings(study).assign(part="D")
    changes["improved"] = (changes["M"] - changes["mean"]) / 2  # Eqs. 3 and 5, by sign
    changes["degraded"] = (changes["M"] + changes["mean"]) / 2
    frames = [curves, changes, *_around(study, of_fit)]
    table = pd.concat([frame.reindex(columns=COLUMNS) for frame in frames], ignore_index=True)
    return table.astype({"step_next": "Int64"})


def _around(study: Study, fits: dict[str, Any]) -> list[pd.DataFrame]:
    """Densities of the largest run's changes of token losses, before and after deceleration."""
    made = [run for run in study.runs if not run.imported]
    if not made:
        raise ZslError("Fig. 1 needs a run made here: of imported ones no tokens are known")
    (run,) = made[-1:]
    intervals = one_run(study, run.id)
    t_d = fits[run.id]["t_d"] if run.id in fits else 0.0
    ended = intervals[intervals["step_next"] <= t_d]
    steps = {
        "before": (ended if len(ended) else intervals.head(1))["step"].iloc[-1],
        "after": intervals["step"].iloc[-1],
    }
    counts = study.of_run("token_changes", run.id)
    frames = []
    for part, step in steps.items():
        rows = counts[counts["step"] == step].assign(part=part, label=run.label, imported=False)
        tokens = rows["count"].sum()
        rows["density"] = rows["count"] / tokens / (rows["high"] - rows["low"])
        frames.append(rows)
    return frames


@style.styled
def draw(data: pd.DataFrame, study: Study) -> Figure:
    """Loss curves above; below, changes of token losses before and after, and D."""
    figure = style.figure(style.DOUBLE, 4.6)
    top, bottom = list(figure.subfigures(2, 1, height_ratios=(5, 4), squeeze=False)[:, 0])
    losses = top.subplots()
    span = style.draw_deceleration(losses, data)
    _draw_losses(losses, data, study)
    before, after, interference = bottom.subplots(1, 3)
    limit = _reach(data[data["part"].isin(["before", "after"])])
    after.sharey(before)
    for axes, part in ((before, "before"), (after, "after")):
        _draw_changes(axes, data, part)
        axes.set_xlim(-limit, limit)
    after.tick_params(labelleft=False)
    before.set_ylabel("tokens (density, 1/nat)")
    style.draw_deceleration(interference, data)
    draw_by_step(interference, data, study, "D", part="D")
    interference.set(ylim=(0, 1), title="destructive interference\nfrom $t$ to $2t$")
    interference.set_ylabel(r"$D(\Delta_t^{2t}\,\ell)$")
    signs = [
        Patch(color=style.IMPROVES, label="tokens that improve"),
        Patch(color=style.DEGRADES, label="tokens that degrade"),
    ]
    entries = style.run_legend(study, data.loc[data["part"] == "D", "run"])
    losses.legend(handles=[*entries, *span], loc="upper right")
    bottom.legend(handles=signs, loc="outside lower left", ncols=2)
    return figure


def _draw_losses(axes: Axes, data: pd.DataFrame, study: Study) -> None:
    """All loss curves; of the smallest and largest run with a fit, the power laws and numbers."""
    colour = style.colours(study)
    draw_by_step(axes, data, study, "loss", part="smoothed", marker="", linewidth=1.3)
    losses = data.loc[data["part"] == "smoothed", "loss"]
    axes.set_yscale("log")
    axes.margins(y=0.1)
    style.log_plain(axes.yaxis, losses.min(), losses.max())
    axes.set_ylabel("train loss $L$ (nats)")
    breaks = data[data["part"] == "t_d"]
    for position in sorted({0, len(breaks) - 1} if len(breaks) else ()):
        point = breaks.iloc[position]
        for part in ("segment_1", "segment_2"):
            line = data[(data["part"] == part) & (data["run"] == point["run"])]
            axes.plot(line["step"], line["loss"], **loss_curves.DASHED)
        _mark(axes, point, colour[point["run"]], above=position == 0)


def _mark(axes: Axes, point: pd.Series, colour: str, above: bool) -> None:
    """Where a run decelerates, with L_d, t_d and the slopes before and after."""
    axes.plot(point["step"], point["loss"], "o", color=colour, markersize=4.5, zorder=5)
    label, L_d, t_d, c_0, r_d = point[["label", "loss", "step", "c_0", "r_d"]]
    axes.annotate(
        f"{label}: $L_d$ = {L_d:.2f} nats at $t_d$ = {t_d:,.0f},\n"
        rf"$L \propto t^{{{-c_0:.3f}}}$ before, $t^{{-r_d}} = t^{{{-r_d:.3f}}}$ after",
        xy=(point["step"], point["loss"]),
        xytext=(10, 14) if above else (-10, -14),
        textcoords="offset points",
        ha="left" if above else "right",
        va="bottom" if above else "top",
        fontsize=6.5,
        arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": "0.35"},
    )


def _draw_changes(axes: Axes, data: pd.DataFrame, part: str) -> None:
    """A histogram, green where losses fall, red where they rise, with the means of both."""
    rows = data[data["part"] == part]
    colours = rows["low"].lt(0).map({True: style.IMPROVES, False: style.DEGRADES})
    widths = rows["high"] - rows["low"]
    axes.bar(rows["low"], rows["density"], widths, align="edge", color=list(colours))
    of_interval = (data["part"] == "D") & (data["run"] == rows["run"].iloc[0])
    (change,) = data[of_interval & (data["step"] == rows["step"].iloc[0])].itertuples()
    axes.set_title(
        f"{change.label}, $t$ = {change.step:,.0f} to {change.step_next:,.0f}:\n"
        f"{_place(data, change)}$D$ = {change.D:.2f}"
    )
    axes.set_xlabel(r"token's change $\Delta\ell_i$ (nats)")
    for x, ha, mean, colour in (
        (0.03, "left", f"\N{MINUS SIGN}{change.improved:.2f}", style.IMPROVES),
        (0.97, "right", f"+{change.degraded:.2f}", style.DEGRADES),
    ):
        text = f"{mean} nats\na token"
        axes.text(x, 1, text, transform=axes.transAxes, ha=ha, va="top", color=colour)


def _place(data: pd.DataFrame, change: Any) -> str:
    """Where an interval lies, if its run has a fit."""
    t_d = data.loc[(data["part"] == "t_d") & (data["run"] == change.run), "step"]
    if t_d.empty:
        return ""
    before, after = change.step_next <= t_d.iloc[0], change.step >= t_d.iloc[0]
    return f"{'before' if before else 'after' if after else 'around'} deceleration, "


def _reach(rows: pd.DataFrame) -> float:
    """The size of change (nats) that ``REACH`` of the tokens of either histogram stay within."""
    limits = []
    for _, of_part in rows.groupby("part"):
        size = of_part[["low", "high"]].abs().max(axis=1)
        share = (of_part["density"] * (of_part["high"] - of_part["low"])).groupby(size).sum()
        limits.append(float(share.index[share.cumsum() >= REACH * share.sum()][0]))
    return max(limits)
