"""Make the README's picture from the figures of mini: ``python docs/picture.py``.

Each figure is drawn again from the data that the workflow saved beside it and from the study
that its lineage record holds, and the drawings are put side by side.
"""

import sys
import tempfile
from pathlib import Path

import pandas as pd
from PIL import Image

from zsl.figures import render
from zsl.files import read_json
from zsl.study import make_study

FIGURES = ("fig02", "fig03", "fig05")


def draw(results: Path, figure: str, path: Path) -> Image.Image:
    """One figure as an image."""
    record = read_json(results / "lineage" / "figures" / f"{figure}.json")
    study = make_study(record["params"]["study"], {})
    data = pd.read_csv(results / "figures" / f"{figure}.csv", float_precision="round_trip")
    render.save(render.module(figure).draw(data, study), path, "png")
    return Image.open(path).convert("RGB")


def main(results: Path, out: Path) -> None:
    """Put the figures side by side, bottoms aligned, half the printed resolution."""
    with tempfile.TemporaryDirectory() as folder:
        images = [draw(results, figure, Path(folder) / f"{figure}.png") for figure in FIGURES]
    height = max(image.height for image in images)
    whole = Image.new("RGB", (sum(image.width for image in images), height), "white")
    left = 0
    for image in images:
        whole.paste(image, (left, height - image.height))
        left += image.width
    whole.resize((whole.width // 2, whole.height // 2), Image.Resampling.LANCZOS).save(out)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    main(Path(sys.argv[1]) if sys.argv[1:] else here.parent / "results" / "mini", here / "mini.png")
