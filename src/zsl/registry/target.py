"""What is known of a figure or table before it is made."""

from __future__ import annotations

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
    "fits",
]
"""A key of ``Study.files``."""
IMPORTED_KINDS: frozenset[InputKind] = frozenset({"train_loss", "fits"})
"""What a run has whose smoothed train loss is imported."""


@dataclass(frozen=True)
class Target:
    """One figure or table: what it shows, where the paper has it, what it is made from."""

    id: str
    """Name of the alias target and of the files, such as ``fig05``."""
    kind: Literal["figure", "table"]
    """What it is."""
    number: int
    """Its number in the paper."""
    title: str
    """One line, for lists and for the report."""
    section: str
    """Section of the paper that discusses it."""
    inputs: tuple[InputKind, ...]
    """Kinds of files it reads; none: it is made from the configuration alone."""
    published: bool
    """Whether imported (published, smoothed) curves suffice; otherwise runs made here must."""
    caption: str
    """Caption, a template over ``experiment``, the configuration; see :func:`caption`."""
    suite: str = "main"
    """The suite of runs that it shows."""
    runs: int = 1
    """How many runs it takes at least."""
    exact: bool = False
    """Whether it needs token gradients of all tokens, not of a sample."""
    claims: bool = False
    """Whether its module says what the paper claims of it; then repeated runs are read, too."""

    @property
    def module(self) -> str:
        """The module that makes it."""
        return f"zsl.{self.kind}s.{self.id}"

    @property
    def heading(self) -> str:
        """Its name in the paper, such as ``Fig. 5``."""
        return f"{'Fig.' if self.kind == 'figure' else 'Table'} {self.number}"
