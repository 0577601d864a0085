"""Families of models whose checkpoints are read, and what a folder says before torch is imported.

A family is a module with the functions of :class:`Family`; its name in :data:`FAMILIES` is all
else that has to be known of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from zsl.models.base import LanguageModel

FAMILIES = ("zsl.models.olmo.folder", "zsl.models.hf.folder")
"""Modules, of which the first one that knows a folder reads it; else the first says what is wrong
with it."""


@dataclass(frozen=True)
class Described:
    """A model as the files of its checkpoint declare it; numbers are None where they do not."""

    context: int | None
    """Most positions of a sequence."""
    rows: int | None
    """Rows of the embedding."""
    vocabulary: int | None
    """Ids that the tokenizer has."""
    settings: Mapping[str, Any]
    """Settings of the architecture that all checkpoints of a run have in common."""


class Family(Protocol):
    """What the module of a family can do."""

    def knows(self, folder: Path) -> bool:
        """Whether a folder looks like one of its checkpoints."""

    def describe(self, folder: Path) -> Described:
        """The model of a checkpoint, of which all files are there.

        Raises MeasurementError, or PermissionError, where it cannot be read.
        """

    def load_model(self, folder: Path) -> LanguageModel:
        """The model of a checkpoint with its weights, on CPU; imports torch.

        Raises TrainingError naming the file that is damaged or does not fit.
        """


def family_of(folder: Path) -> Family:
    """The family that reads a checkpoint."""
    families = [cast(Family, import_module(name)) for name in FAMILIES]
    return next((family for family in families if family.knows(folder)), families[0])
