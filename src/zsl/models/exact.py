"""Gradients of single tokens' losses of any model whose layers are known, whatever they make up.

A chunk of tokens i of one sequence is taken together. One forward pass over the positions that
the last of them sees records the input x of each layer; one backward pass for all of them, with a
seed dL_i/dh of each token side by side, gives the gradients by the output y of each layer,

    dL_i/dy_s                                                (tokens, positions, outputs)

and from them, for a weight of y = W x, one matrix product that is cut into tiles

    g_i = sum over s of dL_i/dy_s (x) x_s                    (tokens, outputs, inputs)

whose absolute values go to a reduction and are forgotten. A norm's weight has sum_s dL_i/dy_s z_s,
a bias sum_s dL_i/dy_s, a row of an embedding the sum over the s that read it. The unembedding is
apart: its gradient is an outer product, and of a tied one the rows that a chunk reads wait for what
their input use adds. Memory is what a forward pass over one sequence keeps, and the gradients by
the outputs of all layers of a chunk's tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.nn.attention import SDPBackend, sdpa_kernel

from zsl.errors import MeasurementError
from zsl.models.base import LanguageModel, Weight, plain_norm
from zsl.models.by_token import GradientsByToken, OfSequence

LOGIT_BYTES = 16 * 2**20
"""Logits held at once, unless those of one token are more."""
TOLERANCE = 1e-3
"""How far gradients that layers add up to may be from the model's own, of what they add up."""


class LayerGradients(GradientsByToken):
    """See :class:`zsl.models.base.ExactGradients`.

    Raises MeasurementError where a weight is of a kind that is not known, naming it, and later
    where the layers do not make up the gradient: one is used several times, or its weight outside
    of it.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model, self._layers = model, model.weights()
        self.input, self.output = model.embedding, model.output
        self._checked = False
        for name, weight in self._layers.items():
            if weight.kind == "other":
                raise MeasurementError(
                    f"per-token gradients of {name} are not implemented: "
                    f"{type(weight.module).__name__} is no linear layer, embedding or norm"
                )
            if weight.tensor.dtype not in (torch.float32, torch.float64):
                raise MeasurementError(
                    f"{name} is {weight.tensor.dtype}; per-token gradients need float32 weights"
                )

    def absolute_sums(self, *args: Any, **settings: Any) -> dict[str, Tensor]:
        """See ExactGradients."""
        sums = super().absolute_sums(*args, **settings)
        return {name: self._returned(name, total) for name, total in sums.items()}

    def token_sums(
        self, input_ids: Tensor, tokens: Any, update: Mapping[str, Tensor], **settings: Any
    ) -> tuple[Tensor, Tensor]:
        """See ExactGradients."""
        turned = {name: self._turned(name, u) for name, u in update.items()}
        return super().token_sums(input_ids, tokens, turned, **settings)

    def _weights(self) -> dict[str, Tensor]:
        return {n: self._turned(n, w.tensor.detach()) for n, w in self._layers.items()}

    def _turned(self, name: str, value: Tensor) -> Tensor:
        """Of the shape (outputs, inputs), where a norm's weight or a bias has one input."""
        if value.ndim == 1:
            return value.unsqueeze(-1)
        return value.T.contiguous() if self._is_transposed(name) else value

    def _returned(self, name: str, value: Tensor) -> Tensor:
        """Of the shape of the weight."""
        if name in self._layers and self._layers[name].tensor.ndim == 1:
            return value.squeeze(-1)
        return value.T.contiguous() if self._is_transposed(name) else value

    def _is_transposed(self, name: str) -> bool:
        return name in self._layers and self._layers[name].transposed

    def _walk(
        self,
        weights: Mapping[str, Tensor],
        tokens: Tensor,
        wanted: Sequence[OfSequence],
        tile_bytes: int,
    ) -> None:
        hidden = self._model.hidden(tokens[None, :-1])[0]
        for each in wanted:
            walk = Walk(
                model=self._model,
                layers=self._layers,
                ids=tokens[:-1],
                targets=tokens[1:],
                hidden=hidden,
                wanted=each,
                tile_bytes=tile_bytes,
                tied=self.output not in weights,
            )
            walk.run(check=not self._checked)
            self._checked = self._checked or bool(each.chunks)


@dataclass(frozen=True)
class Walk:
    """The way back from the losses of some of one sequence's tokens to all weights."""

    model: LanguageModel
    layers: Mapping[str, Weight]
    ids: Tensor
    """Input tokens, (positions,)."""
    targets: Tensor
    """What each position predicts, (positions,)."""
    hidden: Tensor
    """What logits are made of, (positions, width)."""
    wanted: OfSequence
    tile_bytes: int
    tied: bool
    """Whether input and output use of the embedding are one matrix."""

    def run(self, *, check: bool) -> None:
        """Give the gradients of every weight to the reduction; ``check`` those of the first
        chunk."""
        dh, errors = self._head()
        for number, (chunk, prefix) in enumerate(self.wanted.chunks):
            at = self.wanted.positions[chunk]
            seeds = dh.new_zeros(len(at), 1, prefix, dh.shape[1])
            seeds[torch.arange(len(at), device=at.device), 0, at] = dh[chunk]
            found = self._backward(seeds, prefix, check=check and number == 0)
            for name, (x, dy) in found.items():
                self._add(name, self.layers[name], x, dy, chunk, errors[chunk])

    @cached_property
    def _vocabulary(self) -> tuple[Tensor, Tensor, list[int]]:
        """The sequence's distinct input tokens by first occurrence, (distinct,); which of them
        each position reads, (positions,); how many there are up to each position."""
        ids = self.ids.tolist()
        order = {token: place for place, token in enumerate(dict.fromkeys(ids))}
        places = torch.tensor([order[token] for token in ids])
        counts = (places.cummax(0).values + 1).tolist()
        return torch.tensor(list(order)).to(self.ids.device), places.to(self.ids.device), counts

    def _head(self) -> tuple[Tensor, Tensor]:
        """dL/dh at each token, (tokens, width), and the gradients of their losses by the logits of
        the sequence's distinct tokens, (tokens, distinct).

        Gives the unembedding its gradients. When ``tied``, rows of input tokens that a chunk reads
        wait for what their input use adds.
        """
        positions, reduction = self.wanted.positions, self.wanted.reduction
        distinct, _, counts = self._vocabulary
        h, targets = self.hidden[positions], self.targets[positions]
        read = torch.zeros(len(h), len(distinct), dtype=torch.bool, device=h.device)
        for chunk, prefix in self.wanted.chunks:
            read[chunk, : counts[prefix - 1]] = True
        dh, errors = torch.empty_like(h), h.new_empty(read.shape)
        name = self.model.embedding if self.tied else self.model.output
        bias = f"{self.model.output.rpartition('.')[0]}.bias"
        step = max(1, LOGIT_BYTES // (self.model.rows * h.element_size()))
        for start in range(0, len(h), step):
            some = slice(start, min(start + step, len(h)))
            dh[some], x, e = _errors(self.model, h[some], targets[some])
            errors[some] = e[:, distinct]
            numbers = self._numbers(some)
            if bias in self.layers:
                ones = e.new_ones(len(e), 1)
                reduction.outer(bias, slice(0, e.shape[1]), numbers, e.abs(), ones)
            if self.tied:
                e[:, distinct] = errors[some].masked_fill(read[some], 0)
            reduction.outer(name, slice(0, e.shape[1]), numbers, e.abs_(), x.abs())
        return dh, errors

    def _backward(
        self, seeds: Tensor, prefix: int, *, check: bool
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """By weight, the input x of its layer and dL/dy of its output, (tokens, *shape of y).

        ``seeds`` are dL/dh, (tokens, 1, prefix, width).
        """
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), _recording(self.layers) as seen:
            hidden = self.model.hidden(self.ids[None, :prefix])
        modules = list(seen)
        gradients = torch.autograd.grad(
            hidden,
            [seen[module][1] for module in modules],
            seeds,
            is_grads_batched=True,
            retain_graph=check,
            allow_unused=True,
        )
        by_module = {
            module: (seen[module][0], dy)
            for module, dy in zip(modules, gradients, strict=True)
            if dy is not None
        }
        found = {
            name: by_module[weight.module]
            for name, weight in self.layers.items()
            if weight.module in by_module
        }
        if check:
            self._check(hidden, seeds, found)
        return found

    def _check(
        self, hidden: Tensor, seeds: Tensor, found: Mapping[str, tuple[Tensor, Tensor]]
    ) -> None:
        """Raises MeasurementError where layers do not add up to the gradients by the weights."""
        tensors = [weight.tensor for weight in self.layers.values()]
        own = torch.autograd.grad(hidden, tensors, seeds.sum(0), materialize_grads=True)
        for (name, weight), truth in zip(self.layers.items(), own, strict=True):
            made, size = torch.zeros_like(truth), torch.zeros_like(truth)
            if name in found:
                x, dy = found[name][0], found[name][1].sum(0)
                made, size = (_total(weight, x, dy, sign) for sign in (True, False))
            if float((made - truth).norm()) > TOLERANCE * float(size.norm()):
                raise MeasurementError(
                    f"per-token gradients of {name} cannot be measured: what its "
                    f"{type(weight.module).__name__} is given does not add up to its gradient; it "
                    "is used elsewhere, too"
                )

    def _add(
        self, name: str, weight: Weight, x: Tensor, dy: Tensor, chunk: slice, errors: Tensor
    ) -> None:
        """Give a layer's gradients to the reduction: x its input, dy (tokens, *shape of y)."""
        dy, tokens = dy.flatten(1, -2), self._numbers(chunk)
        if weight.kind == "linear":
            self._dense(name, dy, x.flatten(0, -2), tokens)
        elif weight.kind == "embedding":
            self._rows(name, dy, x.flatten(), chunk, errors)
        else:
            scaled = dy * plain_norm(weight)(x).flatten(0, -2) if weight.kind == "norm" else dy
            sums = scaled.sum(1).abs_().unsqueeze(-1)
            self.wanted.reduction.tile(name, slice(0, sums.shape[1]), tokens, sums)

    def _dense(self, name: str, dy: Tensor, x: Tensor, numbers: slice) -> None:
        """Gradients from dy (tokens, positions, outputs) and x (positions, inputs) in tiles, or as
        the outer products that they are where each token's dy is at one position."""
        tokens, _, outputs = dy.shape
        reached = dy.abs().amax(-1)
        largest, at = reached.max(1)
        if torch.equal(reached.sum(1), largest):
            y = dy[torch.arange(tokens, device=at.device), at]
            self.wanted.reduction.outer(name, slice(0, outputs), numbers, y.abs(), x[at].abs())
            return
        per_tile = max(1, self.tile_bytes // (x.shape[1] * x.element_size()))
        n_rows, n_tokens = min(per_tile, outputs), max(1, per_tile // outputs)
        for token in range(0, tokens, n_tokens):
            some = dy[token : token + n_tokens].mT
            of_tile = slice(numbers.start + token, numbers.start + token + len(some))
            for row in range(0, outputs, n_rows):
                rows = slice(row, min(row + n_rows, outputs))
                tile = torch.bmm(some[:, rows], x.expand(len(some), *x.shape))
                self.wanted.reduction.tile(name, rows, of_tile, tile.abs_())

    def _rows(self, name: str, dy: Tensor, ids: Tensor, chunk: slice, errors: Tensor) -> None:
        """Gradients of the rows of an embedding that ``ids`` (positions,) read."""
        distinct, places = torch.unique(ids, return_inverse=True)
        if name == self.model.embedding:
            distinct, places, counts = self._vocabulary
            distinct, places = distinct[: counts[len(ids) - 1]], places[: len(ids)]
        rows = dy.new_zeros(len(distinct), len(dy), dy.shape[2])
        rows.index_add_(0, places, dy.transpose(0, 1))
        if name == self.model.embedding and self.tied:
            h = self.hidden[self.wanted.positions[chunk]]
            rows.addcmul_(errors[:, : len(distinct)].T.unsqueeze(-1), h)
        self.wanted.reduction.scattered(name, distinct, self._numbers(chunk), rows.abs_())

    def _numbers(self, tokens: slice) -> slice:
        return slice(self.wanted.first + tokens.start, self.wanted.first + tokens.stop)


def _errors(model: LanguageModel, h: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of the losses of ``targets`` (tokens,) given hidden states h (tokens, width): gradients by h,
    what the unembedding is multiplied with, and gradients by that product."""
    seen: list[Tensor] = []

    def on_logits(x: Tensor, logits: Tensor) -> None:
        seen.append(x.detach())
        logits.register_hook(seen.append)

    with torch.enable_grad():
        leaf = h.detach().requires_grad_()
        loss = nn.functional.cross_entropy(model.logits(leaf, on_logits), targets, reduction="sum")
        (dh,) = torch.autograd.grad(loss, leaf)
    x, e = seen
    return dh, x, e.clone()


def _total(weight: Weight, x: Tensor, dy: Tensor, signed: bool) -> Tensor:
    """The gradient of a weight from its layer's input x and dL/dy; not ``signed``: of absolute
    values."""
    dy = dy.flatten(0, -2)
    of_x = plain_norm(weight)(x) if weight.kind == "norm" else x
    if weight.kind == "embedding":
        total = torch.zeros_like(weight.tensor)
        return total.index_add_(0, x.flatten(), dy if signed else dy.abs())
    of_x = of_x.flatten(0, -2)
    if not signed:
        dy, of_x = dy.abs(), of_x.abs()
    if weight.kind == "linear":
        return of_x.T @ dy if weight.transposed else dy.T @ of_x
    return (dy * of_x).sum(0) if weight.kind == "norm" else dy.sum(0)


@contextmanager
def _recording(layers: Mapping[str, Weight]) -> Iterator[dict[nn.Module, tuple[Tensor, Any]]]:
    """The input of each layer that is used, and where its output's gradient arrives."""
    seen: dict[nn.Module, tuple[Tensor, Any]] = {}

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if module in seen:
            name = next(name for name, weight in layers.items() if weight.module is module)
            raise MeasurementError(
                f"per-token gradients of {name} cannot be measured: it is used several times"
            )
        made = output.clone()  # the output may be a view, of which nothing is known once changed
        seen[module] = inputs[0].detach(), get_gradient_edge(made)
        return made

    modules = dict.fromkeys(weight.module for weight in layers.values())
    handles = [module.register_forward_hook(record) for module in modules]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
