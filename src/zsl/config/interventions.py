"""Settings of interventions; the name of each is that of its module in :mod:`zsl.interventions`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field

from zsl.config.base import Seed, Settings, nearest


class Shared(Settings):
    """What an intervention costs, and where it works."""

    processes: ClassVar[bool] = False
    """Whether several processes may train with it."""
    formats: ClassVar[bool] = False
    """Whether it works with bfloat16."""
    compiled: ClassVar[bool] = False
    """Whether it works with a compiled model."""

    @property
    def backward_passes(self) -> int:
        """Backward passes of a step."""
        return 1

    @property
    def proxies(self) -> float:
        """How often a step forms the products of the proxy (A.3), on average."""
        return 0

    @property
    def copies(self) -> int:
        """Numbers that a step holds for each weight, beside it, its gradient and its moments."""
        return 0

    @property
    def kept(self) -> int:
        """Those of ``copies`` that stay from step to step, and are part of checkpoints."""
        return 0

    @property
    def parts(self) -> int:
        """Into so many equal parts the batch is cut."""
        return 1


class Agreement(Shared):
    """Weighs coordinates by how far tokens agree on them."""

    name: Literal["agreement"]
    """Agreement."""
    gamma: float = Field(ge=-1, le=4)
    """Power of C_j by which the gradient's coordinate j is multiplied; 0 changes nothing."""
    every: int = Field(default=1, ge=1, le=10_000)
    """C is measured in step 1 and in every so manieth from there, and stays until the next."""

    @property
    def proxies(self) -> float:
        """See Shared."""
        return 1 / self.every

    @property
    def copies(self) -> int:
        """See Shared: the sums of absolute values become the factors."""
        return 1

    @property
    def kept(self) -> int:
        """See Shared."""
        return int(self.every > 1)


class Placebo(Agreement):
    """The factors of agreement, in places drawn at random."""

    name: Literal["placebo"]  # type: ignore[assignment]
    """Placebo."""
    seed: Seed = 0
    """Seed, with the step, of the places."""


class MicroBatchAgreement(Shared):
    """Drops coordinates of the gradient on which parts of the batch disagree."""

    formats: ClassVar[bool] = True
    compiled: ClassVar[bool] = True

    name: Literal["micro_batch_agreement"]
    """Micro-batch agreement."""
    micro_batches: int = Field(default=4, ge=2, le=1024)
    """Equal parts of the batch, of consecutive sequences; independent of
    ``precision.micro_batch_size``."""
    threshold: float = Field(default=1.0, ge=0, le=1)
    """A coordinate is kept where the mean over parts of the sign of their gradients has at least
    this absolute value; 1: where all agree, 0: everywhere."""

    @property
    def copies(self) -> int:
        """See Shared: sums of gradients and of signs."""
        return 2

    @property
    def parts(self) -> int:
        """See Shared."""
        return self.micro_batches


class TokenWeights(Shared):
    """Weighs the losses of tokens; the weights of several settings multiply."""

    processes: ClassVar[bool] = True
    formats: ClassVar[bool] = True
    compiled: ClassVar[bool] = True

    name: Literal["token_weights"]
    """Token weights."""
    clip: float = Field(default=float("inf"), gt=0, allow_inf_nan=True)
    """Largest Euclidean norm of the gradient of a token's loss at its logits, which is below
    sqrt(2); .inf for no clipping."""
    focal: float = Field(default=0.0, ge=0, le=10)
    """Power of the focal loss (1 - p)^focal l; 0 for the plain loss."""
    top: float = Field(default=1.0, gt=0, le=1)
    """Share of each sequence's predictions that count: those of largest loss."""


class Projection(Shared):
    """Projects conflicts between the gradients of groups of tokens away."""

    formats: ClassVar[bool] = True

    name: Literal["projection"]
    """Projection."""
    by: Literal["frequency", "loss"]
    """``frequency``: groups by how often the predicted token is predicted in the batch.
    ``loss``: by the rank of a prediction's loss within its sequence."""
    groups: int = Field(default=2, ge=2, le=16)
    """Number of groups, of about equally many predictions."""
    seed: Seed = 0
    """Seed, with the step, of the order in which conflicts are projected away."""

    @property
    def backward_passes(self) -> int:
        """See Shared."""
        return self.groups

    @property
    def copies(self) -> int:
        """See Shared: the groups' gradients, and one that is being changed."""
        return self.groups + 1


def _known(values: Any) -> Any:
    """Settings of an intervention; refuses unknown names."""
    kinds = get_args(get_args(Intervention)[0])
    known = [get_args(kind.model_fields["name"].annotation)[0] for kind in kinds]
    if isinstance(values, dict) and values.get("name") not in known:
        name = values.get("name")
        said = "has no name" if name is None else f"unknown name {name!r}"
        raise ValueError(f"{said}; {nearest(str(name), known)}")
    return values


Intervention = Annotated[
    Agreement | Placebo | MicroBatchAgreement | TokenWeights | Projection,
    Field(discriminator="name"),
    BeforeValidator(_known),
]
"""What a run changes between the losses of tokens and its optimizer, by ``name``."""
