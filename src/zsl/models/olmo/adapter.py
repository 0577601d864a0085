"""OLMo as measurements see it.

What is written out by hand lies in modules that are imported when they are asked for, by a name
that is computed: they are code of the measurements that name them, and not of training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import cast

import torch
import torch.nn.functional as F
from olmo.model import LayerNormBase, OLMo
from torch import Tensor, nn

from zsl.errors import MeasurementError
from zsl.models.base import PLAIN_LOGITS, ExactGradients, LanguageModel, OnLogits, Weight
from zsl.models.foreign import plain_names
from zsl.models.weights import fill, read_tensors

WEIGHTS = "model.safetensors"


class _Reached(Exception):
    """The final norm was computed: there is nothing to do for the model any more."""


class Olmo(OLMo, LanguageModel):
    """OLMo, any architecture that its configuration names."""

    norms = (LayerNormBase, nn.LayerNorm)
    embedding = "transformer.wte.weight"
    output = "transformer.ff_out.weight"

    @property
    def context(self) -> int:
        """See LanguageModel."""
        return int(self.config.max_sequence_length)

    @property
    def tied(self) -> bool:
        """See LanguageModel."""
        return bool(self.config.weight_tying)

    def load(self, folder: Path) -> None:
        """See LanguageModel; names of weights may be all that :func:`plain_names` knows."""
        path = folder / WEIGHTS
        stored = read_tensors(path)
        fill(self, {name: stored[key] for name, key in plain_names(stored, path).items()}, path)

    def hidden(self, input_ids: Tensor, embedded: Tensor | None = None) -> Tensor:
        """See LanguageModel: what the final norm makes."""
        reached: list[Tensor] = []

        def stop(_: nn.Module, __: object, output: Tensor) -> None:
            reached.append(output)
            raise _Reached

        handle = cast(nn.Module, self.transformer.ln_f).register_forward_hook(stop)
        try:
            self(input_ids, input_embeddings=embedded)
        except _Reached:
            pass
        finally:
            handle.remove()
        return reached[0]

    def logits(self, hidden: Tensor, on_logits: OnLogits | None = None) -> Tensor:
        """See LanguageModel: as OLMo makes them."""
        if self.tied:
            logits = F.linear(hidden, self.table)
        else:
            logits = cast(nn.Linear, self.transformer.ff_out)(hidden)
        if on_logits:
            on_logits(hidden, logits)
        scaled = self.config.scale_logits
        return logits.mul_(1 / math.sqrt(self.config.d_model)) if scaled else logits

    def activation_bytes(self, positions: int, *, gradients: bool) -> int:
        """See LanguageModel; as was counted and measured.

        With ``gradients``: what all blocks keep, and one block's attention written out.
        """
        config = self.config
        hidden = config.mlp_hidden_size or config.mlp_ratio * config.d_model
        block = 10 * config.d_model + 2 * hidden
        beside, attention = 32 * config.d_model, 4 * config.n_heads * positions
        floats = config.n_layers * block + beside + attention if gradients else block + beside
        return positions * floats * torch.float32.itemsize

    def weights(self) -> dict[str, Weight]:
        """See LanguageModel: queries, keys and values are stacked, and gate and value of SwiGLU."""
        gated = self.config.activation_type == "swiglu"
        parts = {"att_proj": 3, "ff_proj": 2 if gated else 1}
        return {
            name: replace(weight, parts=parts.get(name.split(".")[-2], 1))
            for name, weight in super().weights().items()
        }

    def require_plain_logits(self) -> None:
        """See LanguageModel."""
        if self.config.scale_logits:
            raise MeasurementError(PLAIN_LOGITS.format("scale_logits"))
        super().require_plain_logits()

    def exact_gradients(self) -> ExactGradients:
        """See LanguageModel: written by hand, for the architectures of the paper."""
        return cast(ExactGradients, _by_hand("exact_gradients").OlmoGradients(self))

    def hidden_tangents(
        self, input_ids: Tensor, update: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """See LanguageModel: written by hand where that is known, else by forward mode."""
        tangents = _by_hand("tangents")
        if not tangents.is_known(self):
            return super().hidden_tangents(input_ids, update)
        return cast(tuple[Tensor, Tensor], tangents.hidden_states(self, input_ids, update))


def _by_hand(name: str) -> ModuleType:
    return import_module(f"{__package__}.{name}")
