"""``gradient_opposition``: destructive interference between per-token gradients, by proxy.

The proxy (Eq. 4, A.3) takes the gradients of token *features* for those of token losses: a
weight W with y = W x gets one contribution dL/dy_p (x) x_p from each position p. Its sum over
positions is the gradient itself, which the backward pass leaves in ``.grad``; its sum of
absolute values is one more matrix product per weight, added up by hooks in the same backward
pass. The model is left as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

import h5py
import numpy as np
import torch
from olmo.model import OLMo
from torch import Tensor, nn

from zsl.errors import MeasurementError
from zsl.measurements.hdf5 import write_dataset
from zsl.measurements.losses import losses_of

BINS = 100
"""Bins of the histogram of D over [0, 1]."""
EMBEDDINGS = ("transformer.wte.weight", "transformer.wpe.weight", "transformer.ff_out.weight")
"""Weights that read or write the vocabulary or the position: reported apart (A.3)."""


TILE = 2048
"""Columns of a gradient whose absolute values are held at once."""


@dataclass(frozen=True)
class Opposition:
    """Sums over positions of the proxy gradients of one weight, each of the weight's shape."""

    total: Tensor
    """Sum: the gradient of the summed loss."""
    absolute: Tensor
    """Sum of absolute values."""

    def D(self) -> np.ndarray:
        """1 - abs(total) / absolute of every coordinate that was touched (Eq. 4), float64.

        Coordinates without any contribution have no D and are left out.
        """
        absolute = self.absolute.double().flatten().cpu().numpy()
        total = self.total.double().abs().flatten().cpu().numpy()
        touched = absolute > 0
        return 1 - total[touched] / absolute[touched]


@contextmanager
def absolute_gradients(model: OLMo) -> Iterator[dict[str, Tensor]]:
    """Collect, per weight, the sum over positions of the absolute proxy gradients.

    Every backward pass within the block adds to the yielded tensors, which have the shapes of
    the weights; gradients go on to ``.grad`` as ever. The output use of a tied embedding, which
    no module makes, is left to the caller.
    """
    names = {parameter: name for name, parameter in model.named_parameters()}
    sums = {name: torch.zeros_like(parameter) for parameter, name in names.items()}
    handles = []

    def after_linear(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        _add_outer_products(sums[names[module.weight]], inputs[0], output)  # type: ignore[index]

    def after_tokens(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        _add_rows(sums["transformer.wte.weight"], inputs[0], output)
        if not model.config.rope:
            # Positions are added to tokens, so each gets the gradient of its token; their own
            # output has lost the sequences already.
            places = torch.arange(inputs[0].shape[1], device=output.device)
            _add_rows(sums["transformer.wpe.weight"], places.expand(inputs[0].shape), output)

    embedding = cast(nn.Module, model.transformer.wte)
    handles.append(embedding.register_forward_hook(after_tokens))
    for module in model.modules():
        if isinstance(module, nn.Linear):
            handles.append(module.register_forward_hook(after_linear))
    try:
        yield sums
    finally:
        for handle in handles:
            handle.remove()


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


def _add_rows(total: Tensor, ids: Tensor, y: Tensor) -> None:
    """When the gradient of an embedding's output arrives, add it to the rows of ``ids``."""

    def add(gradient: Tensor) -> None:
        total.index_add_(0, ids.flatten(), gradient.flatten(0, -2).abs())

    y.register_hook(add)


def opposition(model: OLMo, input_ids: Tensor, micro_batch_size: int) -> dict[str, Opposition]:
    """Sums of the proxy gradients over all positions of ``input_ids`` (sequences, positions).

    The loss is the sum over all predictions, so that micro-batches add up exactly. Weights of
    ``model`` and hooks are left as they were; its ``.grad`` are cleared.
    """
    model.zero_grad(set_to_none=True)
    with absolute_gradients(model) as absolute:
        of_output = partial(_add_outer_products, absolute["transformer.wte.weight"])
        on_logits = of_output if model.config.weight_tying else None
        for micro_batch in input_ids.split(micro_batch_size):
            losses_of(model, micro_batch, on_logits=on_logits).sum().backward()
    measured = {
        name: Opposition(parameter.grad, absolute[name])
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    model.zero_grad(set_to_none=True)
    return measured


def measure(model: OLMo, input_ids: Tensor, micro_batch_size: int, group: h5py.Group) -> None:
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
    return float(_inner({name: sums.D() for name, sums in measured.items()}).mean())


def _inner(by_weight: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([D for name, D in by_weight.items() if name not in EMBEDDINGS])


def write_opposition(
    group: h5py.Group, measured: Mapping[str, Opposition], *, name: str, meaning: str
) -> None:
    """Write D of the sums ``measured`` by weight: means as ``name``..., and a histogram."""
    by_weight = {name: sums.D() for name, sums in measured.items()}
    inner = _inner(by_weight)
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
