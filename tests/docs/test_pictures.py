"""The pictures of README.md and gallery.md are drawn from CSV, and are those that mini has."""

from __future__ import annotations

from pathlib import Path

import pytest

from zsl.config.load import load
from zsl.figures import render
from zsl.registry import available

ROOT = Path(__file__).parents[2]
TARGETS = available(load([ROOT / "config/config.yaml"]))
FIGURES = [target.id for target in TARGETS if target.kind == "figure"]


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_is_drawn_from_the_data_beside_it(results, figure, tmp_path):
    """Byte for byte, so nothing that is shown is missing there; saving settles the layout, in
    the order in which the workflow saves."""
    from picture import draw

    drawing = draw(results, figure)
    for format in ("pdf", "svg"):
        render.save(drawing, tmp_path / f"drawn.{format}", format)
        made = results / "figures" / f"{figure}.{format}"
        assert (tmp_path / f"drawn.{format}").read_bytes() == made.read_bytes()
