"""Every figure and table of the paper, and which of them an experiment can make.

Read when the workflow's DAG is built, so nothing heavy is imported here. Alias targets
(``fig05``, ``table1``), captions and inputs of the rules follow from ``TARGETS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zsl.registry.appendix import APPENDIX
from zsl.registry.figures import FIGURES
from zsl.registry.tables import TABLES
from zsl.registry.target import Target

if TYPE_CHECKING:
    from zsl.config.schema import Experiment

TARGETS: tuple[Target, ...] = (*FIGURES, *APPENDIX, *TABLES)
BY_ID: Mapping[str, Target] = {target.id: target for target in TARGETS}
"""The targets by name."""


def available(experiment: Experiment) -> tuple[Target, ...]:
    """The figures and tables that an experiment can make, in the order of ``TARGETS``.

    A suite of imported curves alone makes those that such curves suffice for: Fig. 2 and
    Tables 1 and 4. Token gradients of a sample do not suffice for Fig. 14.
    """

    def possible(target: Target) -> bool:
        trained, imported = suite_runs(experiment, target.suite)
        usable = [*trained, *imported] if target.published else trained
        sampled = experiment.measurements.token_gradients.estimator == "sampled"
        return len(usable) >= target.runs and not (target.exact and sampled)

    return tuple(target for target in TARGETS if possible(target))


def suite_runs(experiment: Experiment, suite: str) -> tuple[list[str], list[str]]:
    """Names of the runs of a suite that are trained, and of those that are imported."""
    if suite not in experiment.suites:
        return [], []
    settings = experiment.suites[suite]
    return list(settings.runs), list(settings.imported.names) if settings.imported else []


def caption(target: Target, experiment: Experiment) -> str:
    """The caption of a target, filled from the configuration; for figures, what is imported."""
    text = f"{target.heading}: {target.caption.format(experiment=experiment)}"
    _, imported = suite_runs(experiment, target.suite)
    if target.kind == "table" or not target.inputs:
        return text  # its notes say it; or it shows no run
    if imported and target.published:
        text += f" * imported, not trained here: {', '.join(imported)}."
    elif imported:
        text += f" Left out, since only smoothed curves are imported: {', '.join(imported)}."
    return text
