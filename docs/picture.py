"""Make the pictures of README.md and gallery.md, and their lists, from the results that are there.

``python docs/picture.py``: each figure is drawn again from the data that the workflow
saved beside it and from the study that its lineage record holds. ``mini.png`` is some of
mini side by side, ``gallery/`` has a small picture of each of mini and desk.
The lists follow from the registry.
"""

import tempfile
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image
from values import study_of

from zsl.cli import SHIPPED
from zsl.config.load import load
from zsl.figures import render
from zsl.files import write_text
from zsl.registry.gallery import LARGER, PICTURES, filled, gallery

FIGURES = ("fig02", "fig03", "fig05")
WIDTH = 640
"""Pixels of a small picture, at most."""


def draw(results: Path, figure: str) -> Figure:
    """One figure, from the data saved beside it."""
    data = pd.read_csv(results / "figures" / f"{figure}.csv", float_precision="round_trip")
    return render.module(figure).draw(data, study_of(results, figure))


def rendered(results: Path, figure: str, path: Path) -> Image.Image:
    """One figure as an image."""
    render.save(draw(results, figure), path, "png")
    return Image.open(path).convert("RGB")


def side_by_side(images: list[Image.Image]) -> Image.Image:
    """Images in a row, bottoms aligned, half the printed resolution."""
    height = max(image.height for image in images)
    whole = Image.new("RGB", (sum(image.width for image in images), height), "white")
    left = 0
    for image in images:
        whole.paste(image, (left, height - image.height))
        left += image.width
    return whole.resize((whole.width // 2, whole.height // 2), Image.Resampling.LANCZOS)


def small(image: Image.Image) -> Image.Image:
    """An image of few bytes."""
    image.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
    return image.quantize(64)


def draw_all(results: Path, pictures: Path) -> dict[str, Image.Image]:
    """Draw every figure of an experiment, small into a folder; empty where nothing was made."""
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted((results / "figures").glob("*.pdf"))
        images = {p.stem: rendered(results, p.stem, Path(folder) / f"{p.stem}.png") for p in paths}
    pictures.mkdir(exist_ok=True)
    for figure, image in images.items():
        small(image.copy()).save(pictures / f"{figure}.png", optimize=True)
    return images


def main(root: Path) -> None:
    """Draw, and write the lists."""
    docs = root / "docs"
    if images := draw_all(root / "results/mini", docs / PICTURES):
        side_by_side([images[figure] for figure in FIGURES]).save(docs / "mini.png")
    draw_all(root / "results" / LARGER, docs / PICTURES / LARGER)
    write_text(docs / "gallery.md", gallery([load([root / path]) for path in SHIPPED]))
    readme = root / "README.md"
    write_text(readme, filled(readme.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main(Path(__file__).resolve().parents[1])
