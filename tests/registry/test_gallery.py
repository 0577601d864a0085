"""The lists of figures and tables in the documents are those of the registry."""

from pathlib import Path

import pytest

from zsl.cli import SHIPPED
from zsl.config.load import load
from zsl.registry import TARGETS, available
from zsl.registry.gallery import filled, gallery

ROOT = Path(__file__).parents[2]


def test_the_list_of_the_readme_is_that_of_the_registry():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == filled(text)


def test_the_gallery_is_that_of_the_registry():
    plans = [load([ROOT / path]) for path in SHIPPED]
    assert (ROOT / "docs/gallery.md").read_text(encoding="utf-8") == gallery(plans)


@pytest.mark.parametrize(
    ("folder", "targets"),
    [
        ("gallery", available(load([ROOT / "config/config.yaml"]))),
        ("gallery/desk", available(load([ROOT / "config/desk.yaml"]))),
    ],
)
def test_every_figure_has_a_picture(folder, targets):
    pictures = {path.stem for path in (ROOT / "docs" / folder).glob("*.png")}
    assert pictures == {target.id for target in targets if target.kind == "figure"}


def test_the_paper_has_29_figures_and_8_tables():
    for kind, last in (("figure", 29), ("table", 8)):
        numbers = [t.number for t in TARGETS if t.kind == kind and t.number is not None]
        assert numbers == list(range(1, last + 1))
