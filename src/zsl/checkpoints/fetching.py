"""The checkpoints of a run that was trained elsewhere: brought here, and made folders as ours are.

What is fetched is held against its commit and digests as they were first seen, which ``pins``
keeps; see :mod:`zsl.checkpoints.hub`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zsl.checkpoints.contents import Contents, contents
from zsl.checkpoints.convert import SOURCE, convert
from zsl.checkpoints.errors import CheckpointError
from zsl.checkpoints.formats import Format, format_of, format_of_folder, of_transformers
from zsl.checkpoints.hub import Repository
from zsl.checkpoints.patterns import by_step
from zsl.config.elsewhere import Elsewhere
from zsl.config.grids import checkpoint_name
from zsl.files import link_or_copy, sha256
from zsl.models.families import family_of

SAMPLE = 4096
"""Coordinates of the weights that a manifest keeps, to compare checkpoints by."""


def fetch(
    source: Elsewhere,
    steps: Sequence[int],
    *,
    folder: Path,
    work: Path,
    pins: Path,
    parameters: int,
    report: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Write the checkpoints of ``steps`` to ``folder``; returns their manifest.

    ``work`` is for what is on its way: it stays where a server breaks off, so that the next attempt
    goes on there. ``parameters``: how many the model has by the configuration. The manifest holds
    the SHA-256 of each file of ``folder`` and, by checkpoint, what :func:`convert` tells, digests
    of its weights by name, and ``SAMPLE`` coordinates.

    Raises CheckpointError, or UnreachableError where a further attempt may succeed.
    """
    names = source.revision if isinstance(source.revision, dict) else {}
    bring = _Bring(source, work, pins)
    names = {step: names[step] for step in steps} if names else bring.named(steps)
    shutil.rmtree(folder, ignore_errors=True)
    told: dict[str, Any] = {}
    for done, step in enumerate(steps, start=1):
        target = folder / checkpoint_name(step)
        made, origin = bring(step, names[step], target)
        told[target.name] = {**made, "origin": origin}
        told[target.name] |= _look(target, step, parameters, names[step])
        report(done)
    shutil.rmtree(work, ignore_errors=True)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "files": {path.relative_to(folder).as_posix(): sha256(path) for path in files},
        "checkpoints": told,
    }


class _Bring:
    """Brings checkpoints from a repository, or from folders here."""

    def __init__(self, source: Elsewhere, work: Path, pins: Path) -> None:
        self.source, self.work = source, work
        self.hub = Repository(source.repository, pins) if source.repository else None

    def named(self, steps: Sequence[int]) -> dict[int, str]:
        """Names by the pattern."""
        pattern = str(self.source.revision)
        folder = Path(self.source.where)
        names = self.hub.names() if self.hub else [path.name for path in folder.iterdir()]
        found = by_step(pattern, names)
        if missing := [step for step in steps if step not in found]:
            raise CheckpointError(
                f"{self.source.where}: no name is {pattern!r} with step {missing[0]:,}"
            )
        return {step: found[step] for step in steps}

    def __call__(self, step: int, name: str, target: Path) -> tuple[dict[str, Any], str]:
        """Make the folder ``target``; what :func:`convert` tells, and where it is from: revision
        and commit of a repository, or the folder's name."""
        if self.hub is None:
            here = Path(self.source.where) / name
            return self._convert(here, format_of_folder(here), step, target), name
        revision = self.hub.revision(name)
        self.hub.pin()
        form = format_of(revision.files, f"{self.hub.name} at {name}")
        here = self.work / checkpoint_name(step)
        optimizer = {form.optimizer} if form.optimizer and not self.source.optimizer else set()
        wanted = [file for file in form.files if file not in optimizer]
        self.hub.fetch(revision, wanted, here)
        told = self._convert(here, form, step, target)
        shutil.rmtree(here)
        return told, f"{self.hub.name} {name}@{revision.commit}"

    def _convert(self, here: Path, form: Format, step: int, target: Path) -> dict[str, Any]:
        target.parent.mkdir(parents=True, exist_ok=True)
        if of_transformers(here, form):
            if self.source.optimizer:
                raise CheckpointError(
                    f"{here}: a model of transformers, of which no state of an optimizer is read; "
                    "set source.optimizer: false, and updates are differences of checkpoints"
                )
        elif form.kind != "zsl":
            source = self.source
            told = convert(
                here, target, step=step, optimizer=source.optimizer, repair=source.repair
            )
            (target / SOURCE).unlink()  # it is in the manifest
            if source.optimizer and told["optimizer"] is None:
                raise CheckpointError(
                    f"{here}: holds no state of the optimizer; set source.optimizer: false, and "
                    "updates are differences of checkpoints"
                )
            return told
        target.mkdir()
        for file in form.files:
            link_or_copy(here / file, target / file)
        files = {
            file: {"size": (here / file).stat().st_size, "sha256": sha256(here / file)}
            for file in form.files
        }
        kind = "transformers" if form.kind == "hf_olmo" else form.kind
        return {"format": kind, "files": files, "step": step}


def _look(folder: Path, step: int, parameters: int, name: str) -> dict[str, Any]:
    """Digests and some coordinates of the weights, whose number must be the expected one."""
    model = family_of(folder).load_model(folder)
    found = sum(weight.numel() for weight in model.parameters())
    if found != parameters:
        raise CheckpointError(
            f"{name}: its model has {found:,} parameters, and the configuration's {parameters:,}; "
            "correct model (and the tokenizer's embedding_size), or the revisions"
        )
    kept = contents(model, step)
    every = max(1, len(kept.coordinates) // SAMPLE)
    sample = [round(float(value), 8) for value in kept.coordinates[::every][:SAMPLE]]
    return {"weights": kept.digests, "sample": sample}


def kept_contents(manifest: dict[str, Any]) -> list[Contents]:
    """What a manifest keeps of the weights of its checkpoints."""
    return [
        Contents(told["step"], told["weights"], np.array(told["sample"], dtype=np.float32))
        for told in manifest["checkpoints"].values()
    ]
