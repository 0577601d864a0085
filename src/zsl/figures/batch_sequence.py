"""How Figs 23-25 draw runs that differ in batch size and sequence length."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
from typing import Any

from matplotlib.artist import Artist
from matplotlib.lines import Line2D

from zsl.figures import style
from zsl.study import RunInfo, Study

LINES = ("solid", (0, (3, 1.2)), (0, (1, 1)), (0, (5, 1, 1, 1)))
"""Lines of the sequence lengths, shortest first."""


def batch_tokens(run: RunInfo) -> int:
    """Tokens of a batch of a run whose settings are known."""
    return int(run.settings["batch_size"]) * sequence_length(run)


def sequence_length(run: RunInfo) -> int:
    """Tokens of a training sequence of a run whose settings are known."""
    return int(run.settings["sequence_length"])


def looks(study: Study) -> dict[str, dict[str, Any]]:
    """Colour by tokens of a batch and line by sequence length, by id of the runs made here."""
    colours, lines = _scales(study)
    return {
        run.id: {"color": colours[batch_tokens(run)], "linestyle": lines[sequence_length(run)]}
        for run in study.runs
        if not run.imported
    }


def legend(study: Study, drawn: Iterable[str], **line: Any) -> list[Artist]:
    """An entry for each batch size and sequence length of the runs ``drawn``, smallest first."""
    kept = set(drawn)
    runs = [run for run in study.runs if run.id in kept]
    colours, lines = _scales(study)
    batches = sorted({batch_tokens(run) for run in runs})
    lengths = sorted({sequence_length(run) for run in runs})
    return [
        *(Line2D([], [], color=colours[n], label=f"batch {_short(n)}", **line) for n in batches),
        *(
            Line2D([], [], color="0.35", linestyle=lines[n], label=f"sequence {n:,}", **line)
            for n in lengths
        ),
    ]


def _short(tokens: int) -> str:
    """Tokens as the paper counts those of a batch: 1M is 2^20."""
    for power, suffix in ((20, "M"), (10, "k")):
        if tokens % 2**power == 0:
            return f"{tokens >> power}{suffix}"
    return f"{tokens:,}"


def _scales(study: Study) -> tuple[dict[int, str], dict[int, Any]]:
    runs = [run for run in study.runs if not run.imported]
    batches = sorted({batch_tokens(run) for run in runs})
    lengths = sorted({sequence_length(run) for run in runs})
    return (
        dict(zip(batches, cycle(style.DISTINCT), strict=False)),
        dict(zip(lengths, cycle(LINES), strict=False)),
    )
