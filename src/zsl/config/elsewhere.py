"""Checkpoints that were trained elsewhere: where they are, and what is done with them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from zsl.config.base import MANY, File, Line, Settings, Step
from zsl.config.grids import steps_of
from zsl.config.imported import ImportedCurve


def _numbers(written: Any) -> Any:
    """Steps, where some are written as ``2^0..2^18``; other values are left to be refused."""
    if not isinstance(written, list):
        return written
    steps: set[Any] = set()
    for item in written:
        steps.update(steps_of(item) if isinstance(item, str) else [item])
    return sorted(steps) if all(type(step) is int for step in steps) else written


class Elsewhere(Settings):
    """Checkpoints of a run that was trained elsewhere: measured here, one after another, and
    dropped."""

    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$", max_length=200)] | None = None
    """Repository of models of the Hugging Face Hub, ``owner/name``."""
    folder: File | None = None
    """Instead of it a folder here that holds a folder for each checkpoint."""
    revision: Line | dict[Step, Line] = "step{step}"
    """Names of the revisions, or of the folders: with ``{step}`` where they have the step, and
    ``*`` for what does not matter; or the name of each step, which may be a commit."""
    steps: Annotated[
        list[Step], BeforeValidator(_numbers, json_schema_input_type=list[Step | str])
    ] = Field(min_length=2)
    """The checkpoints: numbers, ``2^0..2^18`` for powers of two, ``1000..143000:1000``."""
    optimizer: bool = True
    """Whether the states of the optimizer are there and are read: the next update is made with
    them. Without them, the update of a checkpoint is the difference to the next one, and no single
    steps are made."""
    repair: bool = False
    """Apply the last update where a state says that it was made with a rate of 0: its moments
    were updated, the weights were not. The rate is ``initial_lr`` of the file."""
    update_batch_size: int | None = Field(default=None, ge=1, le=MANY)
    """Sequences of the batch of the next update; None: ``batch_size``. They are the first of the
    training text of the corpus, in its order."""
    parameters: int | None = Field(default=None, ge=1)
    """Number of parameters, embeddings included, of a model that is not OLMo's, of whose shape
    ``model`` tells the rest; None: what follows from ``model``."""
    train_loss: ImportedCurve | None = None
    """The train loss that was logged. Without one, fits are to the evaluation loss of the
    checkpoints."""

    @model_validator(mode="after")
    def _one_place(self) -> Elsewhere:
        if (self.repository is None) == (self.folder is None):
            raise ValueError("give either repository (of the Hub) or folder")
        if isinstance(self.revision, dict):
            if missing := [step for step in self.steps if step not in self.revision]:
                raise ValueError(f"revision names no checkpoint of steps {missing[:5]}")
        elif self.revision.count("{step}") != 1:
            raise ValueError("revision needs {step} once, where names have the step")
        return self

    @property
    def where(self) -> str:
        """The repository or folder."""
        return self.repository or str(self.folder)


class Fetched(Settings):
    """What lies on the disk of checkpoints that were trained elsewhere."""

    on_disk: int | None = Field(default=None, ge=2, le=MANY)
    """At most so many at once; None: as many as ``gigabytes`` hold. Where updates are differences,
    two neighbours always, and steps 0 and the next count as one of them."""
    gigabytes: float = Field(default=20.0, gt=0)
    """For the checkpoints on the disk, each twice: as it came, and as it is read."""
    keep: bool = False
    """Keep all of them."""
