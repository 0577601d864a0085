"""How arms of a suite look: colours that the colour-blind can tell, then other dashes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from zsl.figures import style

DASHES = ("-", (0, (3, 1)), (0, (1, 1)))


def looks(labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour and dashes by label, in the order of ``labels``."""
    n = len(style.DISTINCT)
    return {
        label: {"color": style.DISTINCT[i % n], "linestyle": DASHES[i // n % len(DASHES)]}
        for i, label in enumerate(labels)
    }


def legend(figure: Figure, labels: Sequence[str], columns: int = 4) -> None:
    """The arms above a figure."""
    handles = [Line2D([], [], label=label, **look) for label, look in looks(labels).items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)
