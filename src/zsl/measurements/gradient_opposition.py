"""``gradient_opposition``: destructive interference between per-token gradients, by proxy.

The proxy (Eq. 4, A.3) takes the gradients of token *features* for those of token losses: a
weight W with y = W x gets one contribution dL/dy_p (x) x_p from each position p. Its sum over
positions is the gradient itself, which the backward pass leaves in ``.grad``; its sum of
absolute values is one more matrix product per weight, added up by hooks in the same backward
pass. A bias gets dL/dy_p from each position, the weight of a norm dL/dy_p times what it scales.
The model is left as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import h5py
import numpy as np
import torch
from torch import Tensor, nn

from zsl.errors import MeasurementError
from zsl.measurements.hdf5 import write_dataset
from zsl.measurements.losses import losses_of
from zsl.models.base import LanguageModel, Weight, plain_norm

BINS = 100
"""Bins of the histogram of D over [0, 1]."""
TILE = 2048
"""Columns of a gradient whose absolute values are held at once."""


@dataclass(frozen=True)
class Opposition:
    """Sums over positions of the proxy gradients of one weight, each of the weight's shape."""

    total: Tensor
    """Sum: the gradient of the summed loss."""
    absolute: Tensor
    """Sum of absolute values."""
    vocabulary: bool
    """Whether the weight reads or writes tokens or positions: reported apart (A.3)."""

    def D(self) -> np.ndarray:
        """1 - abs(total) / absolute of every coordinate that was touched (Eq. 4), float64.

        Coordinates without any contribution have no D and are left out.
        """
        absolute = self.absolute.double().flatten().cpu().numpy()
        total = self.total.double().abs().flatten().cpu().numpy()
        touched = absolute > 0
        return 1 - total[touched] / absolute[touched]


Sums = dict[str, Tensor]
"""By weight, of its shape."""


@contextmanager
def absolute_gradients(model: LanguageModel) -> Iterator[Sums]:
    """Collect, per weight, the sum over positions of the absolute proxy gradients.

    Every backward pass within the block adds to the yielded tensors, which have the shapes of
    the weights; gradients go on to ``.grad`` as ever. What makes logits is left to
    :func:`of_output`, as the matrix of a tied embedding has no module that does.

    Raises MeasurementError, naming them, where there are weights of a kind that is not known.
    """
    weights = model.weights()
    if unknown := [name for name, weight in weights.items() if weight.kind == "other"]:
        raise _not_known(
            ", ".join(unknown), "no weight of a linear layer, an embedding or a norm, nor a bias"
        )
    sums = {name: torch.zeros_like(weight.tensor) for name, weight in weights.items()}
    reads = _Reads()
    hooks: list[tuple[nn.Module, Callable[..., Tensor | None]]] = []
    for name, weight in weights.items():
        if weight.kind == "embedding":
            hooks.append(
                (weight.module, partial(reads.embedded, sums[name], name == model.embedding))
            )
        elif not weight.vocabulary:
            total = sums[name].T if weight.transposed else sums[name]
            hooks.append((weight.module, partial(_after, name, _adding(weight), total)))
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        yield sums
    finally:
        for handle in handles:
            handle.remove()


def _not_known(name: str, why: str) -> MeasurementError:
    return MeasurementError(f"gradient opposition of {name} cannot be measured: {why}")


Add = Callable[[Tensor, Tensor, Tensor], None]
"""Adds to a total, by hooks, what a module with this input and this output is given."""


def _adding(weight: Weight) -> Add:
    if weight.kind == "norm":
        return partial(_add_scaled, plain_norm(weight))
    return _add_bias if weight.kind == "bias" else _add_outer_products


def _after(
    name: str,
    add: Add,
    total: Tensor,
    _: nn.Module,
    inputs: tuple[Tensor, ...],
    output: Tensor,
) -> None:
    """A forward hook that calls ``add`` with a total, a module's input and its output."""
    if output.ndim != 3:
        raise _not_known(name, "it is used several times at a position")
    add(total, inputs[0], output)


def _add_outer_products(total: Tensor, x: Tensor, y: Tensor) -> None:
    """When the gradient of y = W x arrives, add abs(dL/dy)^T abs(x) to ``total``."""
    x = x.detach()

    def add(gradient: Tensor) -> None:
        rows, of_x = gradient.flatten(0, -2), x.flatten(0, -2).abs()
        buffer = rows.new_empty(len(rows), min(TILE, rows.shape[1]))
        # A copy of all absolute values would not fit a cache when y are logits.
        for tile, sums in zip(rows.split(TILE, dim=1), total.split(TILE), strict=True):
            absolute = buffer[:, : tile.shape[1]]
            sums.addmm_(torch.abs(tile, out=absolute).T, of_x)

    y.register_hook(add)


def _add_bias(total: Tensor, _: Tensor, y: Tensor) -> None:
    """When the gradient of y = ... + b arrives, add abs(dL/dy) to ``total``."""
    _add_scaled(torch.ones_like, total, y, y)


def _add_scaled(plain: Callable[[Tensor], Tensor], total: Tensor, x: Tensor, y: Tensor) -> None:
    """When the gradient of y = w z + b arrives, z what ``plain`` makes of x, add abs(dL/dy z)."""
    z = plain(x.detach())

    def add(gradient: Tensor) -> None:
        total.add_((gradient * z).flatten(0, -2).abs().sum(0))

    y.register_hook(add)


class _Reads:
    """Adds up what the embeddings of a forward pass read."""

    def __init__(self) -> None:
        self._sequences = 1

    def embedded(
        self, total: Tensor, of_tokens: bool, _: nn.Module, inputs: tuple[Tensor, ...], y: Tensor
    ) -> Tensor:
        """When the gradient of an embedding's output y arrives, add it to the rows of its ids.

        Positions are read once for all sequences, after the tokens. Returns y with what each
        sequence gets of it, so that gradients arrive one by one.
        """
        (ids,) = inputs
        if of_tokens:
            self._sequences = len(ids)
        elif len(ids) == 1:
            ids, y = (some.expand(self._sequences, *some.shape[1:]) for some in (ids, y))

        def add(gradient: Tensor) -> None:
            total.index_add_(0, ids.flatten(), gradient.flatten(0, -2).abs())

        y.register_hook(add)
        return y


def of_output(model: LanguageModel, sums: Sums, hidden: Tensor, logits: Tensor) -> None:
    """Add up the gradients of what makes logits, as they arrive."""
    _add_outer_products(sums[model.unembedding], hidden, logits)
    bias = f"{model.output.rpartition('.')[0]}.bias"
    if bias in sums:
        _add_bias(sums[bias], hidden, logits)


def opposition(
    model: LanguageModel, input_ids: Tensor, micro_batch_size: int
) -> dict[str, Opposition]:
    """Sums of the proxy gradients over all positions of ``input_ids`` (sequences, positions).

    The loss is the sum over all predictions, so that micro-batches add up exactly. Weights of
    ``model`` and hooks are left as they were; its ``.grad`` are cleared. Raises MeasurementError
    where a weight has a gradient of which the positions' shares are not known.
    """
    weights = model.weights()
    model.zero_grad(set_to_none=True)
    with absolute_gradients(model) as absolute:
        on_logits = partial(of_output, model, absolute)
        for micro_batch in input_ids.split(micro_batch_size):
            losses_of(model, micro_batch, on_logits=on_logits).sum().backward()
    measured = {
        name: Opposition(weight.tensor.grad, absolute[name], weight.vocabulary)
        for name, weight in weights.items()
        if weight.tensor.grad is not None
    }
    model.zero_grad(set_to_none=True)
    for name, sums in measured.items():
        if sums.total.any() and not sums.absolute.any():
            raise _not_known(name, "it is used outside of the module that holds it")
    return measured


def measure(
    model: LanguageModel, input_ids: Tensor, micro_batch_size: int, group: h5py.Group
) -> None:
    """Write the proxy of ``model`` to ``group``.

    Raises MeasurementError when a gradient is not finite, naming its weight.
    """
    measured = opposition(model, input_ids, micro_batch_size)
    for name, sums in measured.items():
        if not (sums.total.isfinite().all() and sums.absolute.isfinite().all()):
            raise MeasurementError(f"the gradient of {name} is not finite")
    group.attrs["sequences"] = len(input_ids)
    write_opposition(
        group,
        measured,
        name="D_proxy",
        meaning="proxy gradient destructive interference (Eq. 4, A.3), mean over coordinates",
    )


def mean_D(measured: Mapping[str, Opposition]) -> float:
    """Mean D over the coordinates of all but embedding weights."""
    return float(np.concatenate([sums.D() for sums in _inner(measured).values()]).mean())


def _inner(measured: Mapping[str, Opposition]) -> dict[str, Opposition]:
    return {name: sums for name, sums in measured.items() if not sums.vocabulary}


def write_opposition(
    group: h5py.Group, measured: Mapping[str, Opposition], *, name: str, meaning: str
) -> None:
    """Write D of the sums ``measured`` by weight: means as ``name``..., and a histogram."""
    by_weight = {name: sums.D() for name, sums in measured.items()}
    inner = np.concatenate([by_weight[name] for name in _inner(measured)])
    sizes = {name: sums.total.numel() for name, sums in measured.items()}
    counts, edges = np.histogram(np.clip(inner, 0, 1), bins=BINS, range=(0, 1))
    group.attrs["weights"] = ", ".join(by_weight)
    for dataset, value, units, axes, description in (
        (name, inner.mean(), "1", (), f"{meaning} of all but embedding weights"),
        (
            f"{name}_with_embeddings",
            np.concatenate([*by_weight.values()]).mean(),
            "1",
            (),
            f"{meaning} of all weights",
        ),
        (
            f"{name}_by_weight",
            np.array([D.mean() for D in by_weight.values()]),
            "1",
            ("weights",),
            f"{meaning} of each weight, in the order of the group's attribute 'weights'",
        ),
        (
            "n_untouched",
            np.array([sizes[name] - len(D) for name, D in by_weight.items()]),
            "coordinates",
            ("weights",),
            "coordinates without any contribution, which have no D and are left out",
        ),
        ("D_hist/edges", edges, "1", ("edges",), "edges of the bins of D_hist/counts"),
        (
            "D_hist/counts",
            counts,
            "coordinates",
            ("bins",),
            "coordinates of all but embedding weights by their D, the last bin closed",
        ),
    ):
        write_dataset(
            group, dataset, np.asarray(value), units=units, axes=axes, description=description
        )
