"""Write a figure and the data behind it, with bytes that depend on the data alone."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from zsl.files import replacing
from zsl.registry import BY_ID
from zsl.study import Study, write_csv

SAVE_RC: Any = {"pdf.fonttype": 42, "svg.hashsalt": "zsl", "svg.fonttype": "path"}
METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
    "png": {},
}


class FigureModule(Protocol):
    """What each module of a figure offers."""

    data: Callable[[Study], pd.DataFrame]
    """The tidy data behind the figure; everything that is drawn is in it."""
    draw: Callable[[pd.DataFrame, Study], Figure]
    """The figure, drawn from the data; the study gives colours and marks."""


def module(figure: str) -> FigureModule:
    """The module that makes a figure, such as ``fig05``."""
    return cast(FigureModule, importlib.import_module(BY_ID[figure].module))


def write(figure: str, study: Study, files: Mapping[str, str | Path]) -> None:
    """Write a figure as ``files``: paths by format, of ``csv``, ``pdf``, ``svg``, ``png``."""
    made = module(figure)
    data = made.data(study)
    drawing = made.draw(data, study)
    for format, path in files.items():
        if format == "csv":
            write_csv(path, data)
        else:
            save(drawing, path, format)


def save(drawing: Figure, path: str | Path, format: str) -> None:
    """Save a drawing without dates and random identifiers, whole or not at all."""
    with matplotlib.rc_context(), replacing(path) as temporary:
        matplotlib.rcdefaults()  # not what the user has set: bytes depend on the data alone
        matplotlib.rcParams.update(SAVE_RC)
        drawing.savefig(temporary, format=format, metadata=METADATA[format], dpi="figure")
