"""``token_gradients``: gradient opposition between tokens, and what it does to the loss.

With g_i the gradient of token i's loss, G their sum (the paper's mean times the number of
tokens, which cancels) and u an update of the weights: how far the g_i cancel at each coordinate
(Eqs. 16-18, Fig. 14), and what makes the first-order changes u . g_i of the losses cancel
(Eqs. 9, 10, 19-30, Fig. 7),

    D_first_order = 1 - C_g C_uG / C_ug

The changes come from forward mode, G from a backward pass of the summed loss and sum_i abs(g_i)
from single tokens, so that this equation is a check and no identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zsl.config.measurements import TokenGradients
from zsl.errors import MeasurementError
from zsl.measurements.first_order import first_order
from zsl.measurements.gradient_opposition import (
    Opposition,
    mean_D,
    opposition,
    write_opposition,
)
from zsl.measurements.hdf5 import write_dataset
from zsl.measurements.interference import interference
from zsl.measurements.losses import losses_of
from zsl.measurements.sampling import Estimate, sample, total_of
from zsl.models.base import ExactGradients, LanguageModel, every_token

C_G = "lack of gradient opposition, weighted by the update (Eqs. 10, 28)"
C_G_FLOOR = "what C_g would be if the gradient of each token had a random sign"
C_UG = "alignment of the update with the gradients of tokens (Eq. 29)"
C_UG_SUM = "alignment of the update with the sum of the gradients (Eq. 30)"


@dataclass(frozen=True)
class Sums:
    """What is known of p_ij = u_j g_ij, coordinate j of token i, without single tokens; nats."""

    of_tokens: float
    """sum_j abs(sum_i p_ij)."""
    of_coordinates: float
    """sum_i abs(sum_j p_ij)."""
    of_signed: float
    """sum_j abs(sum_i s_i p_ij), s_i a random sign of each token."""
    C_uG: float
    """Alignment of the update with the gradient (Eq. 30)."""
    D_first_order: float
    """Destructive interference of the first-order changes sum_j p_ij (Eq. 22)."""


def sums(
    update: Mapping[str, Tensor],
    totals: Mapping[str, Tensor],
    signed: Mapping[str, Tensor],
    changes: Tensor,
) -> Sums:
    """From sum_i g_i and sum_i s_i g_i by weight, and u . g_i (sequences, positions - 1)."""
    total = float(sum((update[n].double() * g.double()).sum() for n, g in totals.items()))
    of_tokens = weighted(update, totals)
    of_changes = interference(changes.cpu().numpy())
    return Sums(
        of_tokens=of_tokens,
        of_coordinates=of_changes.M * changes.numel(),
        of_signed=weighted(update, signed),
        C_uG=ratio(abs(total), of_tokens),
        D_first_order=of_changes.D,
    )


def ratio(part: float, whole: float) -> float:
    """NaN when ``whole`` is zero, as nothing has interfered then."""
    return part / whole if whole else float("nan")


def weighted(update: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> float:
    """sum_j abs(u_j h_j) of ``gradients`` h by weight, accumulated in float64."""
    return float(sum((update[n].double() * h.double()).abs().sum() for n, h in gradients.items()))


def random_signs(input_ids: Tensor, seed: int) -> Tensor:
    """-1 or 1 for each prediction of ``input_ids`` (sequences, positions): (sequences,
    positions - 1), the same on every device."""
    rows, columns = input_ids.shape
    signs = np.random.default_rng(seed).choice(np.array([-1, 1], np.float32), (rows, columns - 1))
    return torch.from_numpy(signs).to(input_ids.device)


def total_gradient(
    model: LanguageModel,
    input_ids: Tensor,
    micro_batch_size: int,
    *,
    untied: bool,
    signs: Tensor | None = None,
) -> dict[str, Tensor]:
    """sum_i g_i by weight over all predictions of ``input_ids`` (sequences, positions), or
    sum_i s_i g_i with ``signs`` s (sequences, positions - 1).

    When ``untied``, the output use of a tied embedding is the weight ``model.output``.
    """
    if signs is None:
        signs = torch.ones_like(input_ids[:, 1:], dtype=torch.float32)
    weights = dict(model.named_parameters())
    # A second leaf takes the gradient of the embedding's input use.
    leaves = {**weights, "input use": weights[model.embedding].detach().requires_grad_()}
    totals = {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    parts = input_ids.split(micro_batch_size), signs.split(micro_batch_size)
    for micro_batch, s in zip(*parts, strict=True):
        embedded = F.embedding(micro_batch, leaves["input use"])
        loss = (s * losses_of(model, micro_batch, embedded=embedded)).sum()
        gradients = torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True)
        for total, gradient in zip(totals.values(), gradients, strict=True):
            total += gradient
    of_inputs = totals.pop("input use")
    of_outputs = totals[model.embedding]
    if untied and model.tied:
        return {**totals, model.embedding: of_inputs, model.output: of_outputs}
    return {**totals, model.embedding: of_outputs + of_inputs}


def measure(
    model: LanguageModel,
    input_ids: Tensor,
    update: Mapping[str, Tensor],
    settings: TokenGradients,
    micro_batch_size: int,
    group: h5py.Group,
) -> None:
    """Write the token gradients of ``model`` on the first ``settings.sequences`` of ``input_ids``
    (sequences, positions), and what ``update`` by weight makes of them, to ``group``.

    Raises MeasurementError when a gradient is not finite, naming its weight, and for models
    without exact gradients.
    """
    gradients = model.exact_gradients()
    input_ids = input_ids[: settings.sequences]
    changes = first_order(model, input_ids, update, micro_batch_size)
    size, untied = micro_batch_size, settings.untied
    totals = total_gradient(model, input_ids, size, untied=untied)
    _check_finite(totals)
    signs = random_signs(input_ids, settings.seed)
    signed = total_gradient(model, input_ids, size, untied=untied, signs=signs)
    update = {model.output: update[model.embedding], **update}  # used when untied
    known = sums(update, totals, signed, changes)
    group.attrs["sequences"] = len(input_ids)
    group.attrs["estimator"] = settings.estimator
    group.attrs["untied"] = settings.untied
    group.attrs["seed"] = settings.seed
    whole = input_ids
    if settings.estimator == "sampled_sequences":
        whole = input_ids[: settings.sampled_sequences]
        totals = total_gradient(model, whole, size, untied=untied)
    if settings.estimator == "sampled":
        group.attrs["tokens"] = settings.tokens
        S = sampled_total(gradients, input_ids, update, settings)
    else:
        each, absolute = by_sequence(gradients, whole, update, settings)
        _check_finite(absolute)
        _write_D(group, model, totals, absolute)
        S = _total_of_sequences(each, changes)
    group.attrs["D_sequences"] = len(whole)
    _write_C(group, known, S, exact=settings.estimator == "exact")
    proxy = mean_D(opposition(model, whole, size))
    write_dataset(
        group,
        "D_proxy",
        proxy,
        description="proxy (Eq. 4, A.3) of all but embedding weights, same tokens",
    )
    write_dataset(group, "C_uG", known.C_uG, description=C_UG_SUM)
    description = "destructive interference of the first-order changes of the losses (Eq. 22)"
    write_dataset(group, "D_first_order", known.D_first_order, description=description)
    write_dataset(
        group,
        "first_order_delta_loss",
        changes.cpu().numpy(),
        units="nats",
        axes=("sequences", "positions"),
        description="update times gradient of each token's loss (Eq. 19); improvement is negative",
    )


def _check_finite(gradients: Mapping[str, Tensor]) -> None:
    for name, gradient in gradients.items():
        if not gradient.isfinite().all():
            raise MeasurementError(f"the gradient of {name} is not finite")


def _write_D(
    group: h5py.Group,
    model: LanguageModel,
    totals: Mapping[str, Tensor],
    absolute: Mapping[str, Tensor],
) -> None:
    apart = {name for name, weight in model.weights().items() if weight.vocabulary}
    measured = {
        name: Opposition(total, absolute[name], name in {model.output, *apart})
        for name, total in totals.items()
    }
    meaning = "destructive interference of token gradients (Eq. 18), mean over coordinates"
    write_opposition(group, measured, name="D_grad", meaning=meaning)
    # Rounding of coordinates that hardly change can exceed 1.
    max_C = min(1.0, max(float(1 - D.min()) for o in measured.values() if (D := o.D()).size))
    write_dataset(
        group, "max_C", max_C, description="largest 1 - D of any coordinate, not less than C_g"
    )


def _write_C(group: h5py.Group, known: Sums, S: Estimate, *, exact: bool) -> None:
    for name, part, description in (
        ("C_g", known.of_tokens, C_G),
        ("C_g_floor", known.of_signed, C_G_FLOOR),
        ("C_ug", known.of_coordinates, C_UG),
    ):
        C = S.ratio_of(part)
        write_dataset(
            group,
            name,
            C.value,
            description=f"{description}{'' if exact else ', estimated from a sample'}",
        )
        if not exact and name != "C_g_floor":
            write_dataset(group, f"{name}_se", C.se, description=f"standard error of {name}")


def by_sequence(
    gradients: ExactGradients,
    input_ids: Tensor,
    update: Mapping[str, Tensor],
    settings: TokenGradients,
) -> tuple[np.ndarray, dict[str, Tensor]]:
    """sum_ij abs(p_ij) over the predictions of each of ``input_ids`` (sequences, positions), in
    nats, (sequences,); and sum_i abs(g_i) over all of them by weight."""
    each: list[float] = []
    absolute: dict[str, Tensor] = {}
    for sequence in input_ids.split(1):
        added = gradients.absolute_sums(
            sequence,
            chunk=settings.chunk,
            tile_bytes=tile_bytes(settings),
            untied=settings.untied,
        )
        each.append(weighted(update, added))
        for name, a in added.items():
            absolute[name] = absolute[name].add_(a) if name in absolute else a
    return np.array(each), absolute


def _total_of_sequences(each: np.ndarray, changes: Tensor) -> Estimate:
    """The sum over all sequences, from ``each`` (n,) of the first n; what is known of the others
    are the ``changes`` (sequences, positions - 1) of their losses."""
    sizes = changes.abs().sum(1, dtype=torch.float64).cpu().numpy()
    if len(each) == len(sizes):
        return Estimate(float(each.sum()), 0.0, 1)
    return total_of(each, np.arange(len(each)), np.column_stack([np.ones(len(sizes)), sizes]))


def sampled_total(
    gradients: ExactGradients,
    input_ids: Tensor,
    update: Mapping[str, Tensor],
    settings: TokenGradients,
) -> Estimate:
    """sum_ij abs(p_ij) over all predictions of ``input_ids`` (sequences, positions), in nats,
    from ``settings.tokens`` of them."""
    tokens = every_token(input_ids)
    chosen = sample(len(tokens), settings.tokens, settings.seed)
    s, shares = gradients.token_sums(
        input_ids,
        tokens[chosen],
        update,
        chunk=settings.chunk,
        tile_bytes=tile_bytes(settings),
        untied=settings.untied,
    )
    return total_of(s.cpu().numpy(), chosen, shares.cpu().numpy())


def tile_bytes(settings: TokenGradients) -> int:
    """Bytes of gradients held at once."""
    return int(settings.tile_mib * 2**20)
