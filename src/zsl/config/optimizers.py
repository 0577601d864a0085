"""Settings of optimizers; the name of each is that of its module in :mod:`zsl.optimizers`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from zsl.config.base import Settings, nearest


class Shared(Settings):
    """Constants of AdamW, which every optimizer here extends (A.1)."""

    moments: ClassVar[int] = 2
    """Numbers that are kept for each weight, beside it."""
    moments_of_matrices: ClassVar[int] = 2
    """The same of the matrices of blocks."""

    learning_rate: float = Field(gt=0)
    """Peak learning rate."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Decay of the first and second moment."""
    eps: float = Field(default=1e-5, gt=0)
    """Added to the root of the second moment."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Decoupled weight decay: a step shrinks weights by it times the rate."""
    decay_embeddings: bool = False
    """Whether embeddings, of tokens and of learned positions, decay, too."""
    clip: float = Field(default=1.0, gt=0, allow_inf_nan=True)
    """Largest global gradient norm; .inf for no clipping."""


class AdamW(Shared):
    """The optimizer of the paper's main experiment (A.1)."""

    name: Literal["adamw"] = "adamw"
    """AdamW, the default."""


class Muon(Shared):
    """Muon (C.2) for the matrices of the blocks. The shared constants are those of AdamW, which
    trains embeddings, positions and an output matrix of its own."""

    moments_of_matrices: ClassVar[int] = 1

    name: Literal["muon"]
    """Muon."""
    momentum: float = Field(default=0.95, ge=0, lt=1)
    """Of the matrices; Nesterov's."""
    muon_rate: float = Field(default=0.1, gt=0)
    """Rate of the matrices over that of AdamW."""
    decay_matrices: bool = False
    """Whether the matrices decay, too, at their own rate. The authors' did not."""
    newton_schulz: Literal["float32", "bfloat16"] = "float32"
    """Format of the iteration. ``bfloat16`` is what was published; its rounding, some percent of
    a singular value, would hide in a single step what is measured there."""


class AdEMAMix(Shared):
    """AdEMAMix (C.2)."""

    moments: ClassVar[int] = 3
    moments_of_matrices: ClassVar[int] = 3

    name: Literal["ademamix"]
    """AdEMAMix."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the fast average and of the second moment."""
    beta3: float = Field(default=0.9999, gt=0, lt=1)
    """Decay of the slow average."""
    alpha: float = Field(default=8.0, ge=0)
    """Weight of the slow average in the update."""
    t_alpha_beta3: int = Field(default=50_000, ge=1)
    """Steps of both warm-ups: alpha grows linearly from 0, and the half-life of the slow
    average linearly from that of the fast one."""

    @model_validator(mode="after")
    def _warm_up_has_a_start(self) -> AdEMAMix:
        if self.betas[0] <= 0:
            raise ValueError(
                f"betas.0 = {self.betas[0]}: the warm-up of beta3 starts there; choose above 0"
            )
        return self


class CAdamW(Shared):
    """Cautious AdamW (C.2, Fig. 28): the constants are AdamW's."""

    name: Literal["c_adamw"]
    """C-AdamW."""


def _named(values: Any) -> Any:
    """Settings of an optimizer with a name: AdamW unless they give one. Refuses unknown names."""
    if not isinstance(values, dict):
        return values
    kinds = get_args(get_args(Optimizer)[0])
    known = [get_args(kind.model_fields["name"].annotation)[0] for kind in kinds]
    name = values.get("name", "adamw")
    if name not in known:
        raise ValueError(f"unknown name {name!r}; {nearest(str(name), known)}")
    return {**values, "name": name}


Optimizer = Annotated[
    AdamW | Muon | AdEMAMix | CAdamW,
    Field(discriminator="name"),
    BeforeValidator(_named),
]
"""The optimizer of a run, by its ``name``; ``adamw`` where there is none."""
