"""What is known of a figure or table before it is made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

InputKind = Literal[
    "train_loss",
    "eval_loss",
    "delta_loss",
    "gradient_opposition",
    "gradient_histograms",
    "token_gradients",
    "single_step",
    "cross_section",
    "landscapes",
    "token_landscapes",
    "step_grids",
    "downstream",
    "breakdown",
    "token_changes",
    "sensitivity",
    "fits",
]
"""A key of ``Study.files``."""
CHAPTERS = {
    "1": "1 Introduction",
    "2": "2 Loss deceleration in language models",
    "3": "3 Explaining loss deceleration",
    "4": "4 Explaining scaling improvements",
    "A": "A Methodology",
    "B": "B Additional results (analyses)",
    "C": "C Additional results (ablations)",
}
"""The paper's sections and appendices by their first letter."""
BEYOND = "D Beyond the paper"
"""Where the report has what the paper has not."""
IMPORTED_KINDS: frozenset[InputKind] = frozenset({"train_loss", "fits", "sensitivity"})
"""What a run has whose train loss is imported."""

ALONG_UPDATES: frozenset[InputKind] = frozenset(
    {"token_gradients", "single_step", "cross_section", "landscapes", "token_landscapes"}
)
"""What depends on the batch of the next update."""


@dataclass(frozen=True)
class Target:
    """One figure or table: what it shows, where the paper has it, what it is made from."""

    id: str
    """Name of its module, of the alias target and of the files: ``fig05`` and ``table1`` as the
    paper numbers them; what goes beyond the paper has a word, that of a table begins ``table``.
    """
    title: str
    """One line, for lists and for the report."""
    section: str
    """Section of the paper that discusses it, or that it adds to."""
    inputs: tuple[InputKind, ...]
    """Kinds of files it reads; none: it is made from the configuration alone."""
    caption: str
    """Caption, a template over ``experiment``, the configuration, and ``zsl.registry.facts``."""
    suites: tuple[str, ...] = ("main",)
    """The suites of runs that it shows; it needs each of them."""
    optimizers: tuple[str, ...] = ()
    """Only runs with these optimizers, all of which it needs; none: all runs."""
    runs: int = 1
    """How many runs of each suite it takes at least."""
    logged: bool = False
    """Whether it shows losses as they were logged: imported curves that are raw suffice, too."""
    sizes: bool = False
    """Whether it shows nothing of a run whose number of parameters is not known."""
    settings: bool = False
    """Whether it reads the resolved settings of its runs."""
    mini: str = ""
    """How far the default experiment, mini, can show what the paper shows; empty: wholly."""
    exact: bool = False
    """Whether it needs token gradients of all tokens, not of a sample."""
    claims: bool = False
    """Whether its module says what the paper claims of it; then repeated runs are read, too."""
    seeds: bool = False
    """Whether it reads repeated runs without claims."""
    flops: bool = False
    """Whether it reads what a training step of its runs costs."""

    @property
    def kind(self) -> Literal["figure", "table"]:
        """What it is."""
        return "table" if self.id.startswith("table") else "figure"

    @property
    def number(self) -> int | None:
        """Its number in the paper; None: it goes beyond the paper."""
        found = re.fullmatch(r"(?:fig|table)(\d+)", self.id)
        return int(found[1]) if found else None

    @property
    def published(self) -> bool:
        """Whether imported curves suffice; otherwise it needs runs that are made here."""
        suffice = bool(self.inputs) and IMPORTED_KINDS.issuperset(self.inputs)
        return suffice and not (self.settings or self.logged)

    @property
    def module(self) -> str:
        """The module that makes it."""
        return f"zsl.{self.kind}s.{self.id}"

    @property
    def chapter(self) -> str:
        """Where the report has it: under the paper's section, or beyond the paper."""
        return BEYOND if self.number is None else CHAPTERS[self.section[0]]

    @property
    def heading(self) -> str:
        """Its name in the paper, such as ``Fig. 5``, or its title where it goes beyond it."""
        if self.number is None:
            return self.title
        return f"{'Fig.' if self.kind == 'figure' else 'Table'} {self.number}"
