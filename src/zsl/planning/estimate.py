"""What an experiment costs: every job's FLOPs and bytes, added up by run, kind and target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from zsl import registry
from zsl.config.flops import Flops, Sequences, training_step
from zsl.config.grids import Segment
from zsl.config.load import Plan
from zsl.config.measurements import MEASUREMENT_OF
from zsl.config.parameters import tokens_per_step
from zsl.config.schema import Run
from zsl.gpus import GPUS, gpu_hours
from zsl.planning import storage
from zsl.planning.fetching import Window
from zsl.planning.jobs import Job, Jobs
from zsl.registry.target import Target

MEASUREMENTS = tuple(dict.fromkeys(MEASUREMENT_OF.values()))


@dataclass(frozen=True)
class Cost:
    """Of some jobs."""

    jobs: int = 0
    flops: float = 0.0
    """In both number formats."""
    gpu_hours: float = 0.0
    bytes: float = 0.0
    """On disk: checkpoints or HDF5 files; 0 for what is small."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.jobs + other.jobs,
            self.flops + other.flops,
            self.gpu_hours + other.gpu_hours,
            self.bytes + other.bytes,
        )


@dataclass(frozen=True)
class RunCost:
    """A run with its training and its measurements."""

    id: str
    imported: bool
    parameters: int | None = None
    """All of them, embeddings included; None where that is not known of an imported run."""
    multiplied: int | None = None
    """N of the training FLOPs: without what is looked up, with the unembedding."""
    steps: int = 0
    tokens: int = 0
    checkpoints: int = 0
    training: Cost = Cost()
    """Its bytes are those of the checkpoints."""
    measurements: dict[str, Cost] = field(default_factory=dict)
    fetched: float = 0.0
    """Bytes of checkpoints that come over the network, or are read from elsewhere here."""
    where: str = ""
    """Where they are; empty where the run is trained here."""


@dataclass(frozen=True)
class SuiteCost:
    """The runs of a suite, repetitions with other seeds included."""

    name: str
    description: str
    runs: tuple[RunCost, ...]


@dataclass(frozen=True)
class CorpusCost:
    """Training text of a corpus."""

    name: str
    read: int
    """Tokens that the run which reads most reads, repeated ones included."""
    kept: float | None
    """Tokens on disk; None where only the sources can tell."""
    downloaded: float | None
    """Bytes; None where only the server can tell."""


@dataclass(frozen=True)
class TargetCost:
    """What a figure or table needs, if it alone is made."""

    id: str
    heading: str
    title: str
    trained: tuple[str, ...]
    """Runs that have to be trained."""
    measurements: tuple[str, ...]
    """Kinds of measurements that have to be made."""
    training: Cost
    measuring: Cost
    jobs: int
    """All of them, those without a GPU included."""


@dataclass(frozen=True)
class Estimate:
    """All of it."""

    experiment: str
    description: str
    gpu: str
    utilisation: float
    suites: tuple[SuiteCost, ...]
    corpora: tuple[CorpusCost, ...]
    rules: dict[str, int]
    """Jobs by rule, as ``snakemake -n all`` counts them where nothing was made yet."""
    targets: tuple[TargetCost, ...]
    missing: tuple[str, ...]
    """Figures and tables that the experiment cannot make."""
    total: Cost


def estimate(plan: Plan, *, gpu: str, utilisation: float) -> Estimate:
    """What ``all`` costs on GPUs of a kind of ``GPUS`` at ``utilisation`` of their peak rates."""
    jobs = Jobs(plan)
    targets = registry.available(plan)
    needed = jobs.everything(targets) | _dropped(plan)
    costs = Costs(jobs, gpu, utilisation)
    made = {target.id for target in targets}
    return Estimate(
        experiment=plan.experiment.experiment,
        description=plan.experiment.description,
        gpu=gpu,
        utilisation=utilisation,
        suites=tuple(costs.of_suite(name, needed) for name in plan.experiment.suites),
        corpora=tuple(_corpus(plan, name) for name in plan.experiment.corpora),
        rules=dict(Counter(job.rule for job in sorted(needed))),
        targets=tuple(costs.of_target(target) for target in targets),
        missing=tuple(target.id for target in registry.TARGETS if target.id not in made),
        total=costs.add(needed),
    )


def _dropped(plan: Plan) -> set[Job]:
    """The jobs that note what is dropped: of all checkpoints that another one has to wait for."""
    fetched = {
        id: storage.parameters(run, plan.corpus(id).tokenizer.rows)
        for id, run in plan.runs.items()
        if run.source
    }
    before = Window.of(plan, fetched, plan.experiment.fetched).before
    places, waited_for = [*before], {place for place in before.values() if place}
    last = max((places.index(place) for place in waited_for), default=-1)
    return {Job("drop", *place) for place in places[: last + 1]}


class Costs:
    """The costs of an experiment's jobs on some GPU."""

    def __init__(self, jobs: Jobs, gpu: str, utilisation: float) -> None:
        self.jobs = jobs
        self.plan = jobs.plan
        self._gpu, self._utilisation = GPUS[gpu], utilisation
        self._known: dict[Job, Cost] = {}

    def add(self, jobs: Iterable[Job]) -> Cost:
        """Of all these jobs together."""
        return sum((self._of(job) for job in sorted(jobs)), Cost())

    def of_target(self, target: Target) -> TargetCost:
        """Of all that one target needs."""
        needed = self.jobs.needed([target])
        kinds = {job.rule for job in needed}
        return TargetCost(
            id=target.id,
            heading=target.heading,
            title=target.title,
            trained=tuple(
                id for id in self.plan.runs if any(j.rule == "train" and j.of == id for j in needed)
            ),
            measurements=tuple(name for name in MEASUREMENTS if name in kinds),
            training=self.add(job for job in needed if job.rule == "train"),
            measuring=self.add(job for job in needed if job.rule in MEASUREMENTS),
            jobs=len(needed),
        )

    def of_suite(self, name: str, needed: set[Job]) -> SuiteCost:
        """Of the jobs of a suite's runs among those that are needed."""
        ids = [id for id in (*self.plan.runs, *self.plan.imported) if id.split("-", 1)[0] == name]
        description = self.plan.experiment.suites[name].description
        return SuiteCost(name, description, tuple(self._run(id, needed) for id in ids))

    def _run(self, id: str, needed: set[Job]) -> RunCost:
        if id in self.plan.imported:
            return RunCost(id, imported=True, parameters=self.plan.imported[id].parameters)
        run, rows = self.plan.runs[id], self.plan.corpus(id).tokenizer.rows
        own = [job for job in needed if job.of == id]
        by_rule = {
            name: self.add(job for job in own if job.rule == name)
            for name in ("train", *MEASUREMENTS)
        }
        steps = self.plan.layout(id).checkpoints
        return RunCost(
            id,
            imported=False,
            parameters=storage.parameters(run, rows),
            multiplied=Sequences(run.model, rows, run.sequence_length).multiplied,
            steps=run.steps,
            tokens=run.steps * tokens_per_step(run),
            checkpoints=len(steps),
            training=by_rule.pop("train"),
            measurements={name: cost for name, cost in by_rule.items() if cost.jobs},
            fetched=sum(storage.fetched(run, rows, step) for step in steps if run.source),
            where=run.source.where if run.source else "",
        )

    def _of(self, job: Job) -> Cost:
        if job not in self._known:
            work, stored = Flops(), 0.0
            if job.rule == "train":
                work, stored = self._training(job)
            elif job.rule in MEASUREMENTS:
                work, stored = self._measurement(job)
            hours = gpu_hours(work, self._gpu, self._utilisation)
            self._known[job] = Cost(1, work.total, hours, stored)
        return self._known[job]

    def _training(self, job: Job) -> tuple[Flops, float]:
        run, rows = self.plan.runs[job.of], self.plan.corpus(job.of).tokenizer.rows
        segment = Segment.parse(job.part)
        n_steps = segment.end - segment.start
        owned = self.plan.layout(job.of).owned(segment)
        stored = sum(storage.checkpoint(run, rows, step) for step in owned)
        return training_step(run, rows) * n_steps, stored + storage.STEP_RECORD * n_steps

    def _measurement(self, job: Job) -> tuple[Flops, float]:
        layout, asked = self.plan.layout(job.of), self.plan.experiment.measurements.of(job.rule)
        if asked.reads == "losses":
            n = len(layout.pairs(job.part))
        else:
            n = len((layout.blocks if asked.every else layout.measured_blocks)[job.part])
        run, corpus = self.plan.runs[job.of], self.plan.corpus(job.of)
        run = run.model_copy(update={"batch_size": run.update_batch_size})
        return asked.flops(run, corpus) * n, asked.stored(run, corpus) * n


def _corpus(plan: Plan, name: str) -> CorpusCost:
    unseen = plan.experiment.measurements.single_step.batches
    runs = [run for run in plan.runs.values() if run.corpus == name]
    corpus = plan.experiment.corpora[name]

    def read(run: Run) -> int:
        steps = 0 if run.source else run.steps
        return (steps + unseen) * run.update_batch_size * run.sequence_length

    return CorpusCost(
        name=name,
        read=max(map(read, runs), default=0),
        kept=storage.tokens_of(corpus),
        downloaded=storage.downloaded(corpus),
    )
