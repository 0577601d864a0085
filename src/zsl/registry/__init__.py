"""Every figure and table, and which of them an experiment can make.

Read when the workflow's DAG is built, so nothing heavy is imported here. Alias targets
(``fig05``, ``table1``), captions and inputs of the rules, the sections of the report and the
list in ``docs/targets.md`` follow from ``TARGETS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zsl.registry.facts import facts
from zsl.registry.figures import FIGURES
from zsl.registry.inputs import possible, shown_runs, shows
from zsl.registry.tables import TABLES
from zsl.registry.target import ALONG_UPDATES, IMPORTED_KINDS, Target

if TYPE_CHECKING:
    from zsl.config.load import Plan

TARGETS: tuple[Target, ...] = tuple(
    sorted((*FIGURES, *TABLES), key=lambda target: target.number is None)
)
"""Figures by number, tables by number, then what goes beyond the paper."""
BY_ID: Mapping[str, Target] = {target.id: target for target in TARGETS}
"""The targets by name."""


def available(plan: Plan) -> tuple[Target, ...]:
    """The figures and tables that an experiment can make, in the order of ``TARGETS``."""
    return tuple(target for target in TARGETS if possible(plan, target))


def caption(target: Target, plan: Plan) -> str:
    """The caption of a target, filled from the configuration and the facts about its runs.

    For figures, it says what is imported.
    """
    filled = target.caption.format(
        experiment=plan.experiment, suites=plan.experiment.suites, **facts(plan, target)
    )
    heading = f"{target.heading}: " if target.number is not None else ""
    text = heading + filled
    if target.kind == "table" or not target.inputs:
        return text  # its notes say it; or it shows no run
    text += _elsewhere(plan, target)
    ids = [id for suite in target.suites for id in plan.run_ids(suite) if id in plan.imported]
    drawn = [id for id in ids if shows(plan, target, id)]
    if drawn:
        text += f" * imported, not trained here: {_by_smoothing(plan, drawn)}."
    if absent := [id.split("-", 1)[1] for id in ids if id not in drawn]:
        text += f" Left out, since their imported curves do not hold it: {', '.join(absent)}."
    return text


def _elsewhere(plan: Plan, target: Target) -> str:
    """A sentence on the runs of a figure that others trained, empty where there are none."""
    ids = shown_runs(plan, target)
    runs = [run for id in ids if (run := plan.runs.get(id)) and run.source]
    if not runs:
        return ""
    said = [f" Checkpoints of {', '.join(dict.fromkeys(r.source.where for r in runs if r.source))}"]
    if any(kind not in IMPORTED_KINDS for kind in target.inputs):
        said.append(f"evaluation text: {facts(plan, target)['evaluation']} tokens")
    if any(kind in ALONG_UPDATES for kind in target.inputs):
        batches = sorted({run.update_batch_size for run in runs if not run.by_difference})
        if batches:
            said.append(f"updates on batches of {', '.join(map(str, batches))} sequences")
        if any(run.by_difference for run in runs):
            said.append("an update is the difference to the next checkpoint, over all its steps")
    evaluated = [id for id in ids if id in plan.runs and id not in plan.trained]
    evaluated = [id for id in evaluated if id not in plan.logged_elsewhere]
    if evaluated and not {"train_loss", "fits"}.isdisjoint(target.inputs):
        said.append("their evaluation loss stands for a train loss, which is not known")
    return "; ".join(said) + "."


def _by_smoothing(plan: Plan, ids: list[str]) -> str:
    """Names of imported runs, and who smoothed their curves."""
    found = []
    for values, said in (("raw", "raw, smoothed here"), ("smoothed", "smoothed elsewhere")):
        names = [id.split("-", 1)[1] for id in ids if plan.imported[id].values == values]
        if names:
            found.append(f"{', '.join(names)} ({said})")
    return "; ".join(found)
