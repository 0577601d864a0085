"""Causal language models of transformers as measurements see them.

No class is known by name: the backbone, the embedding and the unembedding are those that
transformers names, and a layer is known by what it computes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from zsl.errors import MeasurementError, TrainingError
from zsl.models.base import PLAIN_LOGITS, ExactGradients, Kind, LanguageModel, OnLogits, Weight
from zsl.models.exact import LayerGradients
from zsl.models.hf.read import MALFORMED, read_model

UNLIMITED = 1 << 31
"""Positions of a model whose settings say no most."""
PROBE = 8
"""Positions that are read to see whether a model does what is taken for granted."""
LARGE = 100.0
"""Size of the logits that show whether they are bent or scaled."""


class Causal(LanguageModel):
    """A causal language model of transformers, whose weights have transformers' names of them.

    It has the children of transformers' model, and not that model itself as a child.
    """

    _whole: Any

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.__dict__["_whole"] = model.eval()
        for held in ("_modules", "_parameters", "_buffers"):
            self.__dict__[held] = model.__dict__[held]
        self.eval()
        names = {module: name for name, module in model.named_modules()}
        found = model.get_input_embeddings(), model.get_output_embeddings()
        if model.get_decoder() is model or not all(isinstance(m, nn.Module) for m in found):
            raise TrainingError(
                f"a {type(model).__name__} of transformers does not say what its backbone, its "
                "embedding and its unembedding are"
            )
        self.embedding, self.output = (f"{names[module]}.weight" for module in found)
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                module.padding_idx = None  # its row would have no gradient
        self._check()

    @property
    def context(self) -> int:
        """See LanguageModel."""
        return int(getattr(self._config, "max_position_embeddings", None) or UNLIMITED)

    @property
    def tied(self) -> bool:
        """See LanguageModel."""
        return self._unembed.weight is self.table

    def load(self, folder: Path) -> None:
        """See LanguageModel."""
        state = read_model(folder).state_dict()
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            raise TrainingError(f"{folder}: not weights of this architecture: {error}") from None

    def hidden(self, input_ids: Tensor, embedded: Tensor | None = None) -> Tensor:
        """See LanguageModel: what the backbone makes."""
        read = {"input_ids": input_ids} if embedded is None else {"inputs_embeds": embedded}
        output = self._backbone(**read, use_cache=False, return_dict=True)
        return cast(Tensor, output.last_hidden_state)

    def logits(self, hidden: Tensor, on_logits: OnLogits | None = None) -> Tensor:
        """See LanguageModel: what the whole model makes of a backbone that returns ``hidden``."""
        rows = hidden.reshape(1, -1, hidden.shape[-1])
        ids = torch.zeros(rows.shape[:2], dtype=torch.int64, device=rows.device)
        with self._returning(rows), _seeing(self._unembed, on_logits):
            logits = self._whole(input_ids=ids, use_cache=False, return_dict=True).logits
        return cast(Tensor, logits.view(*hidden.shape[:-1], -1))

    def activation_bytes(self, positions: int, *, gradients: bool) -> int:
        """See LanguageModel; of the layers of a transformer, by the settings."""
        config, width = self._config, self.table.shape[1]
        layers, heads, hidden = (
            int(getattr(config, name, None) or default)
            for name, default in (
                ("num_hidden_layers", 12),
                ("num_attention_heads", 12),
                ("intermediate_size", 4 * width),
            )
        )
        block = 16 * width + 4 * hidden
        beside, attention = 32 * width, 4 * heads * positions
        floats = layers * (block + attention) + beside if gradients else block + beside + attention
        return positions * floats * torch.float32.itemsize

    def weights(self) -> dict[str, Weight]:
        """See LanguageModel."""
        return {
            name: replace(
                weight,
                transposed=isinstance(weight.module, Conv1D) and weight.kind == "linear",
                neutral=_neutral(weight.module) or 0.0 if weight.kind == "norm" else 1.0,
            )
            for name, weight in super().weights().items()
        }

    def _kind(self, module: nn.Module, own: str) -> Kind:
        forward = type(module).forward
        if forward in (nn.Linear.forward, Conv1D.forward):
            return "linear" if own == "weight" else "bias"
        if forward is nn.Embedding.forward and cast(nn.Embedding, module).max_norm is None:
            return "embedding"
        if _neutral(module) is not None:
            return "norm" if own == "weight" else "bias"
        return "other"

    def require_plain_logits(self) -> None:
        """See LanguageModel."""
        super().require_plain_logits()
        if not self._plain:
            raise MeasurementError(
                PLAIN_LOGITS.format(f"the logits of {type(self._whole).__name__}")
            )

    def exact_gradients(self) -> ExactGradients:
        """See LanguageModel: by layers, whatever they are put together to."""
        return LayerGradients(self)

    def hidden_tangents(
        self, input_ids: Tensor, update: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """See LanguageModel."""
        try:
            return super().hidden_tangents(input_ids, update)
        except NotImplementedError as error:
            raise MeasurementError(
                f"first-order changes of a {type(self._whole).__name__} cannot be made: "
                f"{str(error).partition(chr(10))[0]}"
            ) from None

    @cached_property
    def _plain(self) -> bool:
        """Whether logits are nothing but the product with the unembedding."""
        W = self._unembed.weight.detach()
        hidden = torch.randn(PROBE, W.shape[1], generator=torch.Generator().manual_seed(0)).to(W)
        with torch.no_grad():
            plain = F.linear(hidden, W)
            scale = LARGE / plain.abs().max()
            logits = self.logits(hidden * scale)
        return torch.allclose(logits, plain * scale, rtol=1e-4, atol=1e-3)

    @torch.no_grad()
    def _check(self) -> None:
        """Raises TrainingError where a model is none of those that are measured here."""
        name = type(self._whole).__name__
        ids = torch.arange(min(PROBE, self.context, self.rows), device=self.table.device)[None]
        hidden = self.hidden(ids)
        whole = self._whole(input_ids=ids, use_cache=False, return_dict=True).logits
        if not torch.allclose(self.logits(hidden), whole, rtol=1e-4, atol=1e-5):
            raise TrainingError(f"a {name} makes its logits of more than its last hidden states")
        other = ids.clone()
        other[0, -1] = 0
        if not torch.allclose(self.hidden(other)[:, :-1], hidden[:, :-1], rtol=1e-3, atol=1e-4):
            raise TrainingError(f"a {name} sees the tokens that it predicts: it is not causal")

    @property
    def _config(self) -> Any:
        return self._whole.config.get_text_config()

    @property
    def _backbone(self) -> nn.Module:
        return cast(nn.Module, self._whole.get_decoder())

    @property
    def _unembed(self) -> nn.Linear:
        return cast(nn.Linear, self._whole.get_output_embeddings())

    @contextmanager
    def _returning(self, hidden: Tensor) -> Iterator[None]:
        """Let the backbone return hidden states of ours."""
        backbone = self._backbone
        backbone.forward = lambda *_, **__: _Output((hidden,))
        try:
            yield
        finally:
            del backbone.forward


def load_model(folder: Path) -> Causal:
    """The model of a folder with its weights, on CPU.

    Raises TrainingError naming the file that does not fit, or the class that is no causal model.
    """
    model = read_model(folder)
    try:
        return Causal(model)
    except TrainingError as error:
        raise TrainingError(f"{folder}: {error}") from None
    except MALFORMED as error:
        name = type(model).__name__
        raise TrainingError(f"{folder}: a {name} that cannot be evaluated: {error}") from None


class _Output(tuple[Tensor, ...]):
    """What a backbone returns that has made hidden states and nothing else."""

    @property
    def last_hidden_state(self) -> Tensor:
        return self[0]

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


@contextmanager
def _seeing(module: nn.Module, on_logits: OnLogits | None) -> Iterator[None]:
    """Show what a linear module reads and makes."""
    if on_logits is None:
        yield
        return
    see = on_logits

    def show(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        logits = output.flatten(0, -2)
        see(inputs[0].flatten(0, -2), logits)
        return logits.view(output.shape)  # so that what is hooked to them sees their gradients

    handle = module.register_forward_hook(show)
    try:
        yield
    finally:
        handle.remove()


def _neutral(module: nn.Module) -> float | None:
    """The weight with which a module returns z of mean square 1, if it makes (w + 1 - that) z + b.

    None where it makes anything else. This is seen by numbers, as each class of transformers has a
    norm of its own: w z of most, (1 + w) z of Gemma's.
    """
    own = dict(module.named_parameters())
    if "weight" not in own or own.keys() - {"weight", "bias"} or own["weight"].ndim != 1:
        return None
    generator = torch.Generator().manual_seed(0)
    width = len(own["weight"])
    w, b, x = (
        torch.randn(*shape, generator=generator) for shape in ((width,), (width,), (1, 3, width))
    )
    probe = deepcopy(module).float().cpu()

    def made(weight: Tensor, bias: Tensor) -> Tensor:
        for name, value in (("weight", weight), ("bias", bias)):
            if name in own:
                cast(Tensor, getattr(probe, name)).copy_(value)
        return cast(Tensor, probe(x))

    with torch.no_grad():
        try:
            for neutral in (1.0, 0.0):
                z = made(torch.full_like(w, neutral), torch.zeros_like(b))
                expected = (w + 1 - neutral) * z + (b if "bias" in own else 0)
                square = z.square().mean(-1)
                if torch.allclose(square, torch.ones_like(square), rtol=1e-2) and torch.allclose(
                    made(w, b), expected, rtol=1e-4, atol=1e-5
                ):
                    return neutral
        except (TypeError, ValueError, RuntimeError, AttributeError, IndexError):
            return None
    return None
