"""One look for all figures: sizes, colours, axes, and the span of deceleration."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from zsl.study import Study

SINGLE = 3.03
"""Width of a column of the paper, inches."""
DOUBLE = 6.3
"""Width of its text, inches."""
IMPROVES, DEGRADES = "#009e73", "#d55e00"
"""Green and red of losses that an update improves and degrades, which the colour-blind can tell."""
DISTINCT = ("#333333", "#d55e00", "#0072b2", "#cc79a7", "#009e73", "#e69f00")
"""Colours of runs that do not differ in size, which the colour-blind can tell."""
DOTTED: dict[str, Any] = {"linewidth": 0.8, "linestyle": (0, (1, 1)), "marker": ""}
"""A line beside the one that it is to be compared with."""
SPAN_COLOUR = "0.86"
SPAN_LABEL = "deceleration"

RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.labelspacing": 0.3,
    "legend.columnspacing": 1.0,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.1,
    "lines.markersize": 2.8,
}


def styled(
    draw: Callable[[pd.DataFrame, Study], Figure],
) -> Callable[[pd.DataFrame, Study], Figure]:
    """Let ``draw`` work under the defaults of matplotlib and ``RC``, whatever the user has set."""

    @wraps(draw)
    def inner(data: pd.DataFrame, study: Study) -> Figure:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(RC)
            return draw(data, study)

    return inner


def figure(width: float, height: float, dots: int = 300) -> Figure:
    """An empty figure, known to no window system: it is gone when it is out of scope.

    ``dots`` per inch count for PNG and for what is rasterised in the other formats.
    """
    return Figure(figsize=(width, height), dpi=dots, layout="constrained")


def panels(number: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with equal panels of a height (inches), at most three on a line, on common axes.

    The lowest of each column and the first of each line have labels at their ticks.
    """
    lines = math.ceil(number / 3)
    columns = math.ceil(number / lines)
    made = figure(SINGLE if columns == 1 else DOUBLE, 0.5 + height * lines)
    grid = made.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for position, axes in enumerate(grid):
        lowest = position + columns >= number
        axes.tick_params(labelbottom=lowest, labelleft=position % columns == 0)
        axes.set_visible(position < number)
    return made, list(grid[:number])


def colours(study: Study) -> dict[str, str]:
    """A colour for each run id, the same for one model size in all figures.

    Sizes: viridis from light (smallest) to dark (largest), which is ordered in lightness and
    safe for the colour-blind; its pale end, unreadable on white, is left out. Runs that differ
    in something else than size: ``DISTINCT``, in their order.
    """
    sizes = study.sizes or study.labels()
    n = len(sizes)
    at = [0.5] if n == 1 else [0.88 * (1 - i / (n - 1)) for i in range(n)]
    by_size = {size: to_hex(colormaps["viridis"](x)) for size, x in zip(sizes, at, strict=True)}
    others = [run.id for run in study.runs if run.label not in by_size]
    distinct = dict(zip(others, cycle(DISTINCT), strict=False))
    return {run.id: distinct.get(run.id) or by_size[run.label] for run in study.runs}


def run_legend(study: Study, drawn: Iterable[str], **line: Any) -> list[Line2D]:
    """A legend entry for each run that is drawn, in the order of ``study.runs``.

    Imported runs have an asterisk; :func:`imported_legend` explains it.
    """
    colour = colours(study)
    kept = set(drawn)
    return [
        Line2D([], [], color=colour[run.id], label=run.label + "*" * run.imported, **line)
        for run in study.runs
        if run.id in kept
    ]


def imported_legend(study: Study, drawn: Iterable[str]) -> list[Line2D]:
    """The entry that explains the asterisk, if an imported run is drawn."""
    kept = set(drawn)
    if not any(run.imported for run in study.runs if run.id in kept):
        return []
    return [Line2D([], [], linestyle="none", label="* imported")]


def legend(
    figure: Figure,
    study: Study,
    drawn: Iterable[str],
    *others: Artist,
    columns: int = 4,
    **line: Any,
) -> None:
    """Write the legend above a figure: the runs that are drawn, then ``others``."""
    drawn = list(drawn)
    entries = [*run_legend(study, drawn, **line), *imported_legend(study, drawn), *others]
    figure.legend(handles=entries, loc="outside upper center", ncols=columns)


def deceleration(study: Study, drawn: Iterable[str]) -> pd.DataFrame:
    """Steps of deceleration t_d of the runs that are drawn: part, run, label, imported, step.

    Runs whose fit is doubtful have none.
    """
    kept = set(drawn)
    info = {run.id: run for run in study.runs}
    found = [
        {
            "part": "t_d",
            "run": fit["run"],
            "label": info[fit["run"]].label,
            "imported": info[fit["run"]].imported,
            "step": fit["t_d"],
        }
        for fit in study.sound_fits()
        if fit["run"] in kept
    ]
    table = pd.DataFrame(found, columns=["part", "run", "label", "imported", "step"])
    return table.astype({"step": float})


def draw_deceleration(axes: Axes, data: pd.DataFrame) -> list[Artist]:
    """Fill from the first to the last t_d (rows with ``part`` t_d); return the legend's entry."""
    steps = data.loc[data["part"] == "t_d", "step"]
    if steps.empty:
        return []
    axes.axvspan(
        steps.min(),
        steps.max(),
        facecolor=SPAN_COLOUR,
        edgecolor=SPAN_COLOUR,
        linewidth=1,
        zorder=0,
    )
    return [Patch(facecolor=SPAN_COLOUR, label=SPAN_LABEL)]


def draw_past(
    axes: Axes, x: Any, y: Any, dotted: Any, colour: str, looks: Sequence[dict[str, Any]]
) -> None:
    """Join points (n,) in one of three ``looks``: before deceleration, into it (from points that
    are ``dotted``), and after it.
    """
    before, into, after = looks
    passed = False
    for i in range(len(x) - 1):
        look = into if dotted[i] else after if passed else before
        axes.plot(x[i : i + 2], y[i : i + 2], color=colour, zorder=3, **look)
        passed = passed or dotted[i]


def log_steps(axes: Axes, label: str = "step $t$", numbers: int = 12) -> None:
    """A logarithmic x axis in steps: at most so many numbers, at powers of ten."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(base=10, numticks=numbers))
    axes.xaxis.set_minor_locator(LogLocator(base=10, subs=tuple(range(1, 10)), numticks=120))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Ticks of a logarithmic axis from ``low`` to ``high``: powers of ten if there are enough."""
    if high < 300 * low:
        log_plain(axis, low, high)


def same_decades(panels: Sequence[Axes], values: Sequence[pd.Series]) -> None:
    """Logarithmic y axes on which a power of ten has one length, around each panel's values.

    Values that are not above zero have no place and do not count.
    """
    ends = [np.log10(v[v > 0].agg(["min", "max"]).to_numpy(float)) for v in values]
    half = max([0.5, *(np.nanmax([0, high - low]) / 2 for low, high in ends)]) * 1.1
    for axes, (low, high) in zip(panels, ends, strict=True):
        middle = 0.0 if np.isnan(low) else (low + high) / 2
        bottom, top = 10 ** (middle - half), 10 ** (middle + half)
        axes.set(yscale="log", ylim=(bottom, top))
        log_ticks(axes.yaxis, bottom, top)


def log_plain(axis: Axis, low: float, high: float) -> None:
    """Plain numbers as ticks on a logarithmic axis from ``low`` to ``high``.

    At most seven: 1 to 10 without the crowded ones on a short axis, 1, 2, 5 or only powers of
    ten on a longer one.
    """
    for subs in ([1, 1.5, 2, 2.5, 3, 4, 5, 6, 8], [1, 2, 3, 4, 6], [1, 2, 5], [1, 3], [1]):
        ticks = [s * 10.0**e for e in range(-12, 13) for s in subs if low <= s * 10.0**e <= high]
        if len(ticks) <= 7:
            break
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
