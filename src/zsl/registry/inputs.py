"""Which runs a figure or table reads, by kind of curve, and which measurement makes a curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zsl.registry.target import IMPORTED_KINDS, InputKind, Target

if TYPE_CHECKING:
    from zsl.config.load import Plan


def shown_runs(plan: Plan, target: Target) -> list[str]:
    """Ids of the runs that a target shows, repetitions with other seeds left out."""
    ids = [id for suite in target.suites for id in plan.run_ids(suite)]
    if not target.optimizers:
        return ids
    return [id for id in ids if id in plan.runs and _optimizer(plan, id) in target.optimizers]


def runs_of(plan: Plan, target: Target, kind: InputKind) -> list[str]:
    """Ids of the runs whose files of a kind a target reads; of claims and seeds, repeated, too."""
    ids = shown_runs(plan, target)
    if kind not in IMPORTED_KINDS:
        ids = [id for id in ids if id in plan.runs and _measurable(plan, id, kind)]
    if kind == "step_grids":
        return [id for id in ids if plan.layout(id).grids]
    if kind == "downstream":
        return downstream_runs(plan)
    if target.claims or target.seeds:
        return [*ids, *(again for id in ids for again in plan.seeds.get(id, ()))]
    return ids


def _measurable(plan: Plan, id: str, kind: InputKind) -> bool:
    """Whether a run has what a kind of curve is measured on: single steps need the state of the
    optimizer."""
    from zsl.config.measurements import MEASUREMENT_OF, MEASUREMENTS  # figures need no pydantic

    source = plan.runs[id].source
    single = MEASUREMENTS[MEASUREMENT_OF[kind]].step == "each"
    return source is None or source.optimizer or not single


def blocks_of(plan: Plan, kind: InputKind, run: str) -> list[str]:
    """Blocks of the run whose measurement files a kind of curve is made from."""
    from zsl.config.measurements import MEASUREMENT_OF, MEASUREMENTS  # figures need no pydantic

    layout, measurement = plan.layout(run), MEASUREMENT_OF[kind]
    if measurement == "delta_loss":
        return [*layout.delta_blocks(), *(layout.grids if kind == "step_grids" else ())]
    blocks = list(layout.blocks if measurement == "token_losses" else layout.measured_blocks)
    by_difference = plan.runs[run].by_difference and MEASUREMENTS[measurement].step
    return blocks[:-1] if by_difference else blocks  # none follows the last


def downstream_runs(plan: Plan) -> list[str]:
    """Ids of the runs of Fig. 17: those that are named, or the two largest."""
    trained = [id for id in plan.run_ids("main") if id in plan.runs]
    named = plan.experiment.measurements.downstream.runs
    return [f"main-{name}" for name in named] or trained[-2:]


def lacking(plan: Plan, target: Target) -> str:
    """What an experiment lacks of what a target needs, in words; empty where it can make it.

    A suite of imported curves alone makes what such curves suffice for: Fig. 2 and Tables 1 and
    4, for example, Fig. 13 if one is raw, and Fig. 22 if a size is known. Token gradients of
    sampled tokens do not suffice for Fig. 14.
    """
    shown = shown_runs(plan, target)
    if missing := [suite for suite in target.suites if not plan.run_ids(suite)]:
        return f"there is no run of suite {', '.join(missing)}"
    if missing := sorted(set(target.optimizers) - {_optimizer(plan, id) for id in shown}):
        return f"there is no run with optimizer {', '.join(missing)}"
    again = {id for repeated in plan.seeds.values() for id in repeated}
    for suite in target.suites:
        for kind in target.inputs or (None,):
            ids = shown if kind is None else runs_of(plan, target, kind)
            of_suite = [id for id in ids if id.startswith(f"{suite}-") and id not in again]
            n = sum(shows(plan, target, id) for id in of_suite)
            if n < target.runs:
                return _too_few(plan, target, kind, suite, n)
    sampled = plan.experiment.measurements.token_gradients.estimator == "sampled"
    return "token gradients are sampled, and it needs those of all" * (target.exact and sampled)


def _too_few(plan: Plan, target: Target, kind: InputKind | None, suite: str, n: int) -> str:
    """Why fewer runs of a suite have a kind of curve than a target takes."""
    others = [run for id, run in plan.runs.items() if id.startswith(f"{suite}-") and run.source]
    if others and target.logged:
        return "single train losses of checkpoints trained elsewhere are not known"
    if others and kind == "single_step" and n == 0:
        return "there are no states of the optimizer to make a step with"
    if n == 0:
        return f"no run of suite {suite} has what it shows ({kind or 'runs'})"
    return f"suite {suite} has {n} of the {target.runs} runs that it takes"


def possible(plan: Plan, target: Target) -> bool:
    """Whether the experiment has the runs that a target needs."""
    return not lacking(plan, target)


def shows(plan: Plan, target: Target, id: str) -> bool:
    """Whether a target can show a run: an imported one, if its curve suffices; one trained
    elsewhere, if it shows no single losses, or these were logged."""
    if id in plan.trained:
        return True
    curve = plan.logged_elsewhere.get(id)
    raw = curve is not None and curve.values == "raw"
    if id in plan.runs:
        return raw or not target.logged
    if target.sizes and plan.imported[id].parameters is None:
        return False
    return target.published or (target.logged and raw)


def _optimizer(plan: Plan, id: str) -> str:
    return plan.runs[id].optimizer.name if id in plan.runs else ""
