"""What the documents quote: artifacts of an experiment, its plan and the paper's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from zsl.claims import LEVEL, WORDS
from zsl.config.load import Plan, load
from zsl.errors import ZslError
from zsl.files import read_json

ROOT = Path(__file__).parents[1]
NUMBER = r"-?[\d.]+(?:e[+-]\d+)?"
VALUE = re.compile(
    rf"({NUMBER}) for ([^\s;,]+)"
    rf"(?: \({100 * LEVEL:.0f} % interval over (\d+) seeds: ({NUMBER}) to ({NUMBER})\))?"
)


class FillError(ZslError):
    """A document cannot be filled in."""


@dataclass(frozen=True)
class Judged:
    """A claim of the paper as the caption of a figure of mini judges it."""

    statement: str
    verdict: str
    """``yes``, ``no`` or ``unclear``."""
    values: dict[str, float]
    """By the label of the run."""
    intervals: dict[str, tuple[float, float]]
    """Over seeds, by the label of a repeated run."""
    bound: float
    """The claim holds above it."""


@dataclass(frozen=True)
class Mini:
    """An experiment, mini or another. Reading what was not made raises FillError."""

    results: Path
    """Its folder of results."""
    plan: Plan
    paper: Plan
    """The plan of ``config/paper.yaml``, to compare with."""

    @classmethod
    def of(cls, results: Path, config: str = "config.yaml") -> Mini:
        """The results in a folder and the shipped configurations."""
        return cls(results, load([ROOT / "config" / config]), load([ROOT / "config/paper.yaml"]))

    def csv(self, path: str) -> pd.DataFrame:
        """A table below the folder of results."""
        return self._read(path, pd.read_csv)

    def json(self, path: str) -> Any:
        """A JSON file below the folder of results."""
        return self._read(path, read_json)

    def fit(self, run: str) -> Any:
        """The fit of a run."""
        return self.json(f"fits/{run}.json")

    def curve(self, figure: str) -> pd.DataFrame:
        """What a figure draws of each run, without its marks at t_d."""
        rows = self.csv(f"figures/{figure}.csv")
        return rows[rows["part"] != "t_d"]

    def claims(self, figure: str) -> list[Judged]:
        """The claims in the caption of a figure, in its order; none if it has none."""
        caption: str = self._read(f"figures/{figure}.md", Path.read_text)
        where = self.results / f"figures/{figure}.md"
        return [judged(line, where) for line in caption.splitlines() if line.startswith("Claim:")]

    def bytes(self, path: str) -> bytes:
        """A binary file below the folder of results."""
        return self._read(path, Path.read_bytes)

    def _read(self, path: str, reader: Callable[[Path], Any]) -> Any:
        try:
            return reader(self.results / path)
        except FileNotFoundError:
            raise FillError(
                f"{self.results / path}: no such file; the documents quote what `make all` makes: "
                "run it first"
            ) from None


def judged(line: str, where: Path) -> Judged:
    """A claim from its line in a caption (``zsl.claims.sentences``)."""
    verdicts = {words: verdict for verdict, words in WORDS.items()}
    said = re.fullmatch(
        rf"Claim: (.+?)\. In \w+ it ({'|'.join(WORDS.values())}): (.+) "
        rf"\(it holds above ({NUMBER})\)\.",
        line,
    )
    values = VALUE.findall(said[3]) if said else []
    if said is None or not values:
        raise FillError(
            f"{where}: expected a claim as src/zsl/claims.py writes it, found: {line}; "
            "docs/artifacts.py has to follow what changed there"
        )
    return Judged(
        statement=said[1],
        verdict=verdicts[said[2]],
        values={label: float(value) for value, label, *_ in values},
        intervals={label: (float(a), float(b)) for _, label, seeds, a, b in values if seeds},
        bound=float(said[4]),
    )
