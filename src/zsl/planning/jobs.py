"""The jobs of the workflow, and which of them a figure or table needs.

The same graph as that of the rules, without files: what Snakemake would run if nothing were
there yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import cast

from zsl.config.grids import Segment
from zsl.config.load import Plan
from zsl.config.measurements import MEASUREMENT_OF, MEASUREMENTS
from zsl.registry.inputs import blocks_of, runs_of, shown_runs
from zsl.registry.target import InputKind, Target

CURVE_RULES = {"breakdown": "breakdown_curve", "sensitivity": "sensitivity_curve"}
"""Curves whose jobs have a rule of their own."""


@dataclass(frozen=True, order=True)
class Job:
    """One job of the workflow."""

    rule: str
    """Name of its rule."""
    of: str
    """The run, corpus, suite or target that it is about."""
    part: str = ""
    """Its segment, block or kind of curve."""


class Jobs:
    """The jobs of an experiment."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._parents: dict[Job, list[Job]] = {}

    def everything(self, targets: Iterable[Target]) -> set[Job]:
        """All jobs of ``snakemake all``: the targets, their comparison with printed tables, and
        the root digest of all records."""
        targets = [*targets]
        name = self.plan.experiment.experiment
        found = {Job("all", name), Job("provenance", name), *self.needed(targets)}
        printed = files("zsl.tables") / "paper"
        if any((printed / f"{target.id}.csv").is_file() for target in targets):
            found.add(Job("compare", name))
        return found

    def needed(self, targets: Iterable[Target]) -> set[Job]:
        """The jobs that make these targets."""
        return self.closure(job for target in targets for job in self._of_target(target))

    def closure(self, jobs: Iterable[Job]) -> set[Job]:
        """These jobs and all that come before them."""
        waiting = [*jobs]
        found: set[Job] = set()
        while waiting:
            job = waiting.pop()
            if job not in found:
                found.add(job)
                waiting += self._before(job)
        return found

    def _of_target(self, target: Target) -> list[Job]:
        curves = [
            self.curve(kind, run)
            for kind in target.inputs
            for run in runs_of(self.plan, target, kind)
        ]
        fetched = [id for id in shown_runs(self.plan, target) if id in self.plan.runs]
        fetched = [id for id in fetched if id not in self.plan.trained and target.inputs]
        return [Job(target.kind, target.id), *curves, *(Job("faults", id) for id in fetched)]

    def curve(self, kind: InputKind, run: str) -> Job:
        """What makes a run's fit, or its curve of a kind."""
        if kind == "fits":
            return Job("fit", run)
        if kind == "train_loss":
            if run in self.plan.logged_elsewhere:
                return Job("imported_loss", run)
            return Job("train_loss" if run in self.plan.trained else "evaluated_loss", run)
        if kind in CURVE_RULES:
            return Job(CURVE_RULES[kind], run)
        return Job("measured", run, kind)

    def _before(self, job: Job) -> list[Job]:
        if job not in self._parents:
            self._parents[job] = list(self._inputs(job))
        return self._parents[job]

    def _inputs(self, job: Job) -> Iterable[Job]:
        if job.rule in ("fit", "sensitivity_curve"):
            yield self.curve("train_loss", job.of)
        if job.rule in ("train_loss", "sensitivity_curve") and job.of in self.plan.trained:
            chain = self.plan.layout(job.of).segments
            yield from (Job("train", job.of, part.name) for part in chain)
        elif job.rule == "faults":
            chain = self.plan.layout(job.of).segments
            yield from (Job("fetch", job.of, part.name) for part in chain)
        elif job.rule == "evaluated_loss":
            yield Job("measured", job.of, "eval_loss")
        elif job.rule == "imported_loss" and self.plan.logged_elsewhere[job.of].path is None:
            yield Job("published_curves", self.plan.logged_elsewhere[job.of].sha256 or "")
        elif job.rule == "measured":
            yield from self._measurements(job.part, job.of)
        elif job.rule == "breakdown_curve":
            yield from self._measurements("breakdown", job.of)
        elif job.rule == "delta_loss":
            blocks = self.plan.layout(job.of).loss_blocks(job.part).values()
            yield from (Job("token_losses", job.of, block) for block in {*blocks})
        elif job.rule == "train":
            yield from self._before_segment(job.of, Segment.parse(job.part))
        elif job.rule in MEASUREMENT_OF.values():
            along = MEASUREMENTS[job.rule].step == "along"
            yield from self._checkpoints(job.of, job.part, along)

    def _checkpoints(self, run: str, block: str, along: bool) -> Iterable[Job]:
        """What makes the checkpoints of a measurement file, ``along`` an update or not; elsewhere
        trained, its tokens, too."""
        segment = self.plan.layout(run).segment_of_block(block).name
        if run in self.plan.trained:
            yield Job("train", run, segment)
        else:
            yield Job("fetch", run, segment)
            yield Job("tokens", self.plan.runs[run].corpus)
        if along and self.plan.runs[run].by_difference:
            layout = self.plan.layout(run)
            following = layout.following(layout.blocks[segment][-1])
            assert following is not None
            yield Job("fetch", run, layout.segment_of(following).name)

    def _before_segment(self, run: str, segment: Segment) -> Iterable[Job]:
        previous = self.plan.layout(run).previous(segment)
        if previous is not None:
            yield Job("train", run, previous.name)
        yield Job("tokens", self.plan.runs[run].corpus)

    def _measurements(self, kind: str, run: str) -> Iterable[Job]:
        """The files of measurements that a kind of curve is made from."""
        asked = cast(InputKind, kind)
        blocks = blocks_of(self.plan, asked, run)
        yield from (Job(MEASUREMENT_OF[asked], run, block) for block in blocks)
