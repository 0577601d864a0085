"""The seam between checkpoints and what measures them: a causal language model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, cast

import numpy as np
import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from zsl.errors import MeasurementError

Kind = Literal["linear", "embedding", "norm", "bias", "other"]
"""How a weight w enters the output y of its module: y = w x; y = the rows of w that are read;
y = w z or (1 + w) z with z of mean square 1; y = ... + w; or in a way that is not known."""

OnLogits = Callable[[Tensor, Tensor], None]
"""Sees the hidden states (positions, width) and their logits (positions, vocabulary)."""


PLAIN_LOGITS = (
    "first-order changes of a model with {} are not implemented: its logits are not its final "
    "hidden states times the unembedding alone"
)


@dataclass(frozen=True)
class Weight:
    """A weight of a model."""

    tensor: nn.Parameter
    module: nn.Module
    """The module that holds it."""
    kind: Kind
    vocabulary: bool
    """Whether it reads or writes tokens or positions: such weights are reported apart (A.3)."""
    parts: int = 1
    """Matrices of equal height that it stacks, such as those of queries, keys and values."""
    transposed: bool = False
    """Whether y = x w, as of the Conv1D of transformers, where a linear layer has y = w x."""
    neutral: float = 1.0
    """The value of a norm's weight with which it returns z: 0 where y = (1 + w) z."""


def plain_norm(weight: Weight) -> nn.Module:
    """What makes z of the input of a norm: its copy, whose ``weight`` and bias do nothing."""
    plain = deepcopy(weight.module).requires_grad_(False)
    for name, own in plain.named_parameters():
        own.fill_(0.0 if name == "bias" else weight.neutral)
    return plain


class ExactGradients(Protocol):
    """Sums of absolute gradients g_i of the losses of single predictions i, at fixed weights.

    ``tokens`` (n, 2) are pairs of sequence and position, and position p predicts p + 1. ``chunk``
    tokens are taken together, and at most ``tile_bytes`` of their gradients held at once (or one
    row of a weight); neither changes a result beyond rounding. The uses of a tied embedding add up
    before the absolute value, unless ``untied``: then the output use is the weight
    :attr:`LanguageModel.output`.
    """

    def absolute_sums(
        self,
        input_ids: Tensor,
        tokens: np.ndarray | None = None,
        *,
        chunk: int,
        tile_bytes: int,
        untied: bool = False,
    ) -> dict[str, Tensor]:
        """sum_i abs(g_i) by weight, over all predictions of ``input_ids`` (sequences, positions),
        or those of ``tokens``."""

    def token_sums(
        self,
        input_ids: Tensor,
        tokens: np.ndarray,
        update: Mapping[str, Tensor],
        *,
        chunk: int,
        tile_bytes: int,
        untied: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """s_i = sum_j abs(u_j g_ij) of ``tokens``, for the ``update`` u by weight, (n,) float64 in
        nats; and what of it is cheap, for all predictions, (predictions, k) float64."""


def every_token(input_ids: Tensor) -> np.ndarray:
    """All predictions of ``input_ids`` (sequences, positions), (n, 2)."""
    sequences, positions = input_ids.shape
    return np.argwhere(np.ones((sequences, positions - 1), dtype=bool))


class LanguageModel(nn.Module, ABC):
    """A causal language model whose parameters, by their names, are its weights.

    Logits are made of final hidden states, some positions at a time. What a model *can* do beyond
    what is abstract here are capabilities: where one is missing, asking for it raises
    MeasurementError before any work.
    """

    norms: tuple[type[nn.Module], ...] = (nn.LayerNorm, nn.RMSNorm)
    """Modules whose weight and bias make y = w z + b, z the normalised input."""
    embedding: str
    """Name of the weight whose rows are the embeddings of tokens."""
    output: str
    """Name of the weight that makes logits, where it is one of its own."""

    @property
    @abstractmethod
    def context(self) -> int:
        """Most positions of a sequence."""

    @property
    @abstractmethod
    def tied(self) -> bool:
        """Whether the embedding makes the logits, too."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Load the weights of a checkpoint, which must be of this architecture.

        Raises TrainingError naming the file when it is damaged, does not fit, or is not finite.
        """

    @abstractmethod
    def hidden(self, input_ids: Tensor, embedded: Tensor | None = None) -> Tensor:
        """What the logits of ``input_ids`` (sequences, positions) are made of.

        ``embedded`` (sequences, positions, width) stands for the embeddings of the tokens, if
        given. Returns (sequences, positions, width).
        """

    @abstractmethod
    def logits(self, hidden: Tensor, on_logits: OnLogits | None = None) -> Tensor:
        """Logits (..., vocabulary) of final hidden states (..., width).

        ``on_logits`` sees them as the product with the unembedding that they are, before anything
        else is made of them.
        """

    @abstractmethod
    def activation_bytes(self, positions: int, *, gradients: bool) -> int:
        """Bytes that a pass over one sequence holds, logits left out; ``gradients``: for a
        backward pass, too."""

    @property
    def unembedding(self) -> str:
        """Name of the weight that makes logits of hidden states."""
        return self.embedding if self.tied else self.output

    @property
    def table(self) -> Tensor:
        """Embeddings of tokens, (rows, width)."""
        path, _, own = self.embedding.rpartition(".")
        return cast(Tensor, getattr(self.get_submodule(path), own))

    @property
    def rows(self) -> int:
        """Rows of the embedding: more than ids, where it is padded."""
        return len(self.table)

    def weights(self) -> dict[str, Weight]:
        """All weights by name, in the order of ``named_parameters``."""
        found: dict[str, Weight] = {}
        output = self.output.rpartition(".")[0]
        for name, tensor in self.named_parameters():
            path, _, own = name.rpartition(".")
            module = self.get_submodule(path)
            apart = isinstance(module, nn.Embedding) or path == output
            found[name] = Weight(tensor, module, self._kind(module, own), apart)
        return found

    def _kind(self, module: nn.Module, own: str) -> Kind:
        """The kind of the weight that a module calls ``own``."""
        if isinstance(module, (nn.Linear, *self.norms)) and own == "bias":
            return "bias"
        if own != "weight":
            return "other"
        if isinstance(module, nn.Linear):
            return "linear"
        if isinstance(module, nn.Embedding):
            return "embedding"
        return "norm" if isinstance(module, self.norms) else "other"

    def require_plain_logits(self) -> None:
        """Raises MeasurementError where logits are more than hidden states times the
        unembedding: here, where the latter has a bias."""
        bias = f"{self.output.rpartition('.')[0]}.bias"
        if bias in dict(self.named_parameters()):
            raise MeasurementError(PLAIN_LOGITS.format(bias))

    def exact_gradients(self) -> ExactGradients:
        """Gradients of single predictions, of all weights.

        Raises MeasurementError where this model has none.
        """
        raise MeasurementError(
            f"per-token gradients of {type(self).__name__} models are not implemented; measure "
            "gradient_opposition, its proxy"
        )

    def hidden_tangents(
        self, input_ids: Tensor, update: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """:meth:`hidden` and its tangent along ``update`` by weight, by torch's forward mode."""
        # Attention has a forward mode in its plain form only.
        with forward_ad.dual_level(), sdpa_kernel(SDPBackend.MATH):
            duals = {
                f"model.{name}": forward_ad.make_dual(weight, update[name])
                for name, weight in self.named_parameters()
            }
            found = torch.func.functional_call(_Hidden(self), duals, (input_ids,))
            hidden, tangent = forward_ad.unpack_dual(found)
        return hidden, cast(Tensor, tangent)


class _Hidden(nn.Module):
    """A model as a function of its weights that returns hidden states."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.model.hidden(input_ids)
