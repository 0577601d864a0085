"""What captions say about the runs that a figure or table shows: numbers of the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from zsl.registry.inputs import shown_runs
from zsl.registry.target import Target

if TYPE_CHECKING:
    from zsl.config.load import Plan


def facts(plan: Plan, target: Target) -> dict[str, str]:
    """Words for the template of a caption, each over the runs shown that are made here.

    ``cut``, of the fits; ``labels``; ``steps``; ``batches`` and ``lengths``, tokens of a batch
    and of a sequence; ``evaluation``, the size of the evaluation set; ``final``, the fractions
    of the peak rate at which cosine schedules end; ``every``, the distances of evenly spaced
    checkpoints.
    """
    ids = [id for id in shown_runs(plan, target) if id in plan.runs]
    runs = [plan.runs[id] for id in ids]
    sets = [plan.corpus(id).evaluation for id in ids]
    cosine = [run.schedule for run in runs if run.schedule.name == "cosine_with_warmup"]
    even = [run.checkpoints.every for run in runs if run.checkpoints.every]
    return {
        "cut": _numbers(plan.cut(id) for id in shown_runs(plan, target)),
        "labels": _listed(id.split("-", 1)[1] for id in ids),
        "steps": _numbers(run.steps for run in runs),
        "batches": _numbers(run.batch_size * run.sequence_length for run in runs),
        "lengths": _numbers(run.sequence_length for run in runs),
        "evaluation": _listed(f"{e.sequences:,} sequences of {e.sequence_length:,}" for e in sets),
        "final": _listed(f"{schedule.final_fraction:g}" for schedule in cosine),
        "every": _numbers(even),
    }


def _numbers(values: Iterable[int]) -> str:
    return _listed(f"{value:,}" for value in sorted(set(values)))


def _listed(words: Iterable[str]) -> str:
    """Such as ``a, b and c``, each once; a dash where there is none."""
    *first, last = [*dict.fromkeys(words)] or ["–"]
    return f"{', '.join(first)} and {last}" if first else last
