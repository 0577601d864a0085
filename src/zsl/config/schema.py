"""The configuration of an experiment: every number of it, and nothing about hardware.

``Experiment`` is the root. Runs are written as ``suites.<suite>.runs.<name>``, each merged
over ``suites.<suite>.defaults``; ``zsl.config.load`` resolves them to :class:`Run`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from zsl.config.analysis import Curves, Figures, Fits, Tables
from zsl.config.base import MANY, STEPS, Name, Seed, Settings, Step, Words
from zsl.config.elsewhere import Elsewhere, Fetched
from zsl.config.imported import Imported
from zsl.config.interventions import Intervention
from zsl.config.measurements import Measurements, TaskName
from zsl.config.optimizers import Optimizer
from zsl.config.sources import Source, Tokenizer

SuiteName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
"""A suite's name has no ``-``: the first ``-`` of a run id ends it (``main-14M``)."""


def _not_lineage(name: str) -> str:
    if name == "lineage":
        raise ValueError("is the folder of the records; choose another name")
    return name


FolderName = Annotated[Name, AfterValidator(_not_lineage)]
"""A name of an experiment or of a corpus, which is that of a folder."""


Fact = Literal[
    "eos_share",
    "eos_in_text",
    "eos_token",
    "document_length",
    "token_share",
    "unknown_share",
    "lost_share",
    "duplicate_share",
    "overlap_share",
    "broken_share",
]
"""What is found out about a corpus, and told where it is implausible: ``zsl.data.facts``."""


class EvalSplit(Settings):
    """Hold passages out of the training sources until the evaluation set is full."""

    sequences: int = Field(ge=1, le=MANY)
    """Sequences of the evaluation set, each ``sequence_length`` tokens long."""
    sequence_length: int = Field(ge=2, le=MANY)
    """Tokens per evaluation sequence; the first of each is never predicted."""
    window: int = Field(default=13, ge=1, le=10_000)
    """No window of this many evaluation tokens occurs in the training tokens: training
    documents that hold one are left out and counted. Windows that are unknown tokens for the
    most part are no evidence of equal text. Not applied to memmaps."""


class Corpus(Settings):
    """Text or tokens to train and to evaluate on."""

    train: list[Source] = Field(min_length=1)
    """Sources of the training text, read in this order."""
    eval_sources: list[Source] = Field(default=[])
    """Sources of the evaluation text; empty: passages are split off the training sources."""
    evaluation: EvalSplit
    """The evaluation set, on which every per-token measurement is made."""
    tokenizer: Tokenizer = Field(discriminator="kind")
    """The tokenizer, or how to train one."""
    exclude_tasks: list[TaskName] = []
    """No window of the questions and answers of these tasks occurs in the training tokens, either:
    see ``evaluation.window``. For text that may hold what Fig. 17 asks."""
    deduplicate: bool = True
    """Keep one document per distinct text (about 32 bytes of memory each); not applied to
    memmaps."""
    broken_records: Literal["stop", "skip"] = "stop"
    """A record that cannot be read stops the job with file and line, or is skipped and counted."""
    shuffle_seed: int = 0
    """Seed of the hash that decides which passages are held out for evaluation."""
    accept: list[Fact] = []
    """Facts about the corpus that are as they should be although they look implausible: what the
    log warned of, or the job stopped at, by its name there."""

    @model_validator(mode="after")
    def _batches_alone(self) -> Corpus:
        if any(getattr(source, "batches", None) for source in self.eval_sources):
            raise ValueError("batches is for training text; leave it out of eval_sources")
        if len(self.train) > 1 and any(getattr(source, "batches", None) for source in self.train):
            raise ValueError(
                "a source with batches stands alone: a corpus of it and other sources would not be "
                "the batches asked for; make it a corpus of its own"
            )
        return self


class Model(Settings):
    """An OLMo architecture (Table 3; A.1)."""

    d_model: int = Field(ge=2, le=MANY)
    """Width of the residual stream."""
    n_layers: int = Field(ge=1, le=10_000)
    """Number of transformer blocks."""
    n_heads: int = Field(ge=1, le=MANY)
    """Attention heads; must divide ``d_model`` into an even head width when ``rope``."""
    mlp_ratio: int = Field(default=1, ge=1, le=1000)
    """Width of the MLP projection over ``d_model``; SwiGLU halves it (paper: 1)."""
    activation: Literal["swiglu", "gelu"] = "swiglu"
    """Activation of the MLP."""
    rope: bool = True
    """Rotary positions; otherwise learned positions."""
    weight_tying: bool = True
    """One matrix for input and output embedding."""
    init: Literal["mitchell", "normal", "gpt2"] = "mitchell"
    """Initialisation of the weights, as OLMo names them; ``gpt2`` is ``normal`` with residual
    projections smaller by 1 / sqrt(2 n_layers)."""
    layer_norm_eps: float = Field(default=1e-5, gt=0)
    """Epsilon of the RMSNorm, which has no weights."""


CONSTANT = ("constant", "constant_with_warmup")
"""Schedules that do not decay."""
EXTENSIBLE = (*CONSTANT, "inverse_sqrt_with_warmup")
"""Schedules whose rate does not depend on the last step: a longer run goes on from a shorter."""


class Schedule(Settings):
    """Learning rate by step (A.1): a linear warm-up, then one of OLMo's schedules."""

    name: Literal[
        "constant_with_warmup",
        "cosine_with_warmup",
        "linear_with_warmup",
        "inverse_sqrt_with_warmup",
        "cosine_linear_envelope",
        "max_scheduler",
        "constant",
    ] = "constant_with_warmup"
    """As OLMo names them. ``constant_with_warmup`` is the trapezoid without cooldown of the paper;
    ``inverse_sqrt_with_warmup`` is peak * sqrt(warmup / s), ``cosine_linear_envelope`` a cosine
    times a line, ``max_scheduler`` the larger of cosine and inverse root."""
    warmup_steps: int = Field(ge=0, le=STEPS)
    """The update that makes step s uses peak * (w + (1 - w) * min(s, warmup) / warmup)."""
    warmup_start: float = Field(default=0.1, ge=0, lt=1)
    """w, the fraction of the peak rate at which the warm-up starts."""
    final_fraction: float = Field(default=0.1, ge=0, le=1)
    """Fraction of the peak rate at which cosines and lines end, those within others, too."""


class Checkpoints(Settings):
    """Steps at which model, optimizer and data position are kept: 0, every 2^i, the last."""

    also: list[Step] = []
    """Further steps to keep and to measure."""
    decades: bool = False
    """Keep 1 to 10, 20 to 100, 200 to 1000, ... too, for Fig. 15 (a): token losses only."""
    every: int | None = Field(default=None, ge=1, le=STEPS)
    """Keep every so many steps, too, for Fig. 15 (c): token losses only."""
    first_segment: int = Field(default=4096, ge=1, le=STEPS)
    """Last step of the first segment; the next ones end at its doublings and the last step.
    Not more than a job's time limit allows: a segment resumes, but is published whole."""
    extended_from: list[Annotated[int, Field(ge=1, le=STEPS)]] = Field(
        default=[], exclude_if=lambda ends: not ends
    )
    """Where the run ended when it was shorter: a segment ends there, too, so that what is trained
    is kept. Only where the schedule does not depend on ``steps``."""


class Precision(Settings):
    """Number formats and memory of the training step."""

    compute: Literal["float32", "bfloat16"] = "float32"
    """Format of matrix products; bfloat16 means autocast."""
    weights: Literal["float32", "bfloat16"] = "float32"
    """Format of the weights that forward and backward read. Master weights, moments and
    reductions are float32 always; bfloat16 copies also make the residual stream bfloat16, as
    the authors' FSDP ``mixed`` did."""
    micro_batch_size: int | None = Field(default=None, ge=1, le=MANY)
    """Sequences per forward pass and process, whose gradients are added up; None: all of them on a
    GPU, on a CPU as many as 1 GiB is enough for. Half as many, again and again, where memory does
    not hold them."""
    compile: bool = False
    """Compile the model with ``torch.compile``."""

    @model_validator(mode="after")
    def _bfloat16_weights_need_bfloat16_compute(self) -> Precision:
        if self.weights == "bfloat16" and self.compute == "float32":
            raise ValueError(
                "weights: bfloat16 with compute: float32 would train in neither format; "
                "set compute: bfloat16"
            )
        return self


class Run(Settings):
    """One model trained once, here or elsewhere."""

    corpus: Name
    """Key of ``corpora``."""
    model: Model
    """Architecture."""
    sequence_length: int = Field(ge=2, le=MANY)
    """Tokens per training sequence, which is also the model's context."""
    batch_size: int = Field(ge=1, le=MANY)
    """Sequences per step over all processes and micro-batches."""
    steps: int = Field(ge=1, le=STEPS)
    """Optimizer steps of the whole run (T of the fits, unless a curve ends earlier)."""
    optimizer: Optimizer
    """Update rule and its constants."""
    intervention: Intervention | None = Field(default=None, exclude_if=lambda made: made is None)
    """What is changed between the losses of tokens and the optimizer; None: nothing."""
    schedule: Schedule
    """Learning rate by step."""
    checkpoints: Checkpoints = Checkpoints()
    """What is kept, and when."""
    precision: Precision = Precision()
    """Number formats."""
    seed: Seed = 6198
    """Seed of the initial weights."""
    sampling: Literal["shuffle", "offsets"] = "shuffle"
    """``shuffle`` reads every sequence of the corpus once, in the order of the one shuffle.
    ``offsets`` draws each sequence at a random token of the corpus, with replacement."""
    loss: Literal["olmo", "mean"] = "mean"
    """What is minimised and logged. ``mean``: over the B(S-1) predictions. ``olmo``: the same
    sum over B*S, (S-1)/S of the mean, as OLMo and the paper's runs did."""
    source: Elsewhere | None = Field(default=None, exclude_if=lambda source: source is None)
    """Where the checkpoints are that others made of this run, which is then not trained here."""

    @property
    def by_difference(self) -> bool:
        """Whether an update is the difference between neighbouring checkpoints."""
        return self.source is not None and not self.source.optimizer

    @property
    def update_batch_size(self) -> int:
        """Sequences of the batch of an update that is measured."""
        return (self.source and self.source.update_batch_size) or self.batch_size


class Suite(Settings):
    """Runs that answer one question together."""

    description: Words = ""
    """What the suite asks, and where its numbers come from: shown by ``zsl plan``."""
    defaults: dict[str, Any] = {}
    """Settings that all runs of the suite share (keys of a run)."""
    runs: dict[Name, dict[str, Any]] = {}
    """Runs by name, smallest model first; each gives what differs from ``defaults``."""
    repeat: dict[Name, list[Seed]] = {}
    """Further seeds by name of a run: it is trained again from other initial weights, and what
    the paper claims of a figure is judged on the interval over the seeds."""
    cut: int | None = Field(default=None, ge=0, le=STEPS)
    """Steps <= this are left out of the suite's fits; None: ``fits.cut``. For models that first
    rest, longer than those of other suites, where the loss is at the frequencies of tokens."""
    imported: Imported | None = None
    """Runs whose curves are imported, marked so wherever they appear."""


class Experiment(Settings):
    """A whole experiment: what is trained on what, measured how, compared with what."""

    experiment: FolderName
    """Name of the experiment; everything is written to ``results/<experiment>/``."""
    description: Words = ""
    """One sentence for reports and captions."""
    comparable: bool = False
    """Whether models and data are the paper's, so that its values stand beside ours."""
    threads: int = Field(default=1, ge=1, le=1024)
    """Threads of each numerical job. Results are identical at any number of jobs or cores,
    but only close across numbers of threads."""
    data_seed: Seed = 6198
    """Seed of the one shuffle that fixes the data order of all runs."""
    corpora: dict[FolderName, Corpus] = {}
    """Corpora by name."""
    suites: dict[SuiteName, Suite] = Field(min_length=1)
    """Suites by name; ``main`` is the paper's main experiment."""
    measurements: Measurements = Measurements()
    """Per-token measurements."""
    fetched: Fetched = Fetched()
    """Checkpoints of others on the disk."""
    curves: Curves = Curves()
    """Loss curves."""
    fits: Fits = Fits()
    """BNSL fits."""
    tables: Tables = Tables()
    """Tables."""
    figures: Figures = Figures()
    """Figures."""
