"""``cross_section``: the loss of every token along the next update (Section 3.4, B.4, B.5).

The weights move on a line, theta(alpha) = theta + alpha u / norm(u), where u is the update of
the step after the checkpoint and alpha is in the Euclidean norm of the parameters, so that
alpha = norm(u) is the step itself. Alphas are evenly spaced over the whole span, and denser
near 0, where they are Chebyshev points: between them the mean is interpolated if the estimated
error allows, else evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass

import h5py
import numpy as np
import torch
from torch import Tensor

from zsl.config.measurements import CrossSection
from zsl.errors import MeasurementError
from zsl.measurements.chebyshev import chebyshev_points, error_estimate, interpolation_matrix
from zsl.measurements.first_order import first_order
from zsl.measurements.hdf5 import write_dataset
from zsl.measurements.interference import interference
from zsl.measurements.next_step import Weights, copy_of, norm
from zsl.measurements.token_losses import evaluate
from zsl.models.base import LanguageModel

FINE_STEPS = 3.0
"""The fine grid reaches so many update norms to either side of 0, at most the span."""
FINE_TOLERANCE = 2e-4
"""Largest estimated error of the mean loss, in nats, at which the fine grid is interpolated."""


class Line:
    """The model on a line through its weights; they are restored when the block ends."""

    def __init__(self, model: LanguageModel, update: Weights) -> None:
        self.model = model
        self.update = update
        self.norm = norm(update)
        if self.norm == 0:
            raise MeasurementError("the next update is zero: there is no direction to move along")

    def __enter__(self) -> Line:
        self._start = copy_of(self.model)
        return self

    def __exit__(self, *_: object) -> None:
        self._move(0.0)

    @torch.no_grad()
    def _move(self, steps: float) -> None:
        for name, parameter in self.model.named_parameters():
            torch.add(self._start[name], self.update[name], alpha=steps, out=parameter)

    def losses(self, alpha: float, input_ids: Tensor, micro_batch_size: int) -> np.ndarray:
        """Token losses at ``alpha``, (sequences, positions - 1) float32 nats."""
        self._move(alpha / self.norm)  # the step itself is one whole update, to the last bit
        return evaluate(self.model, input_ids, micro_batch_size)

    def section(self, alphas: np.ndarray, input_ids: Tensor, micro_batch_size: int) -> np.ndarray:
        """Token losses at ``alphas``, (alphas, sequences, positions - 1) float32 nats."""
        return np.stack([self.losses(float(a), input_ids, micro_batch_size) for a in alphas])


@dataclass(frozen=True)
class Fine:
    """Mean loss at evenly spaced places near 0."""

    alpha: np.ndarray
    """Places, (alphas,)."""
    mean: np.ndarray
    """Mean loss there, (alphas,) float64 nats."""
    error: float
    """Estimated error of interpolating it, nats."""
    method: str
    """``interpolated`` or, where the error would exceed the tolerance, ``evaluated``."""


def fine_mean(
    line: Line,
    nodes: np.ndarray,
    alpha: np.ndarray,
    losses: np.ndarray,
    n: int,
    input_ids: Tensor,
    micro_batch_size: int,
) -> Fine:
    """The mean loss at ``n`` places over the range of the Chebyshev ``nodes``.

    ``losses`` (alphas, sequences, positions - 1) are known at ``alpha``, the nodes among them;
    what is known between the nodes shows how wrong the interpolant is.
    """
    at = np.linspace(nodes[0], nodes[-1], n)
    mean = losses.mean(axis=(1, 2), dtype=np.float64)
    known = mean[np.searchsorted(alpha, nodes)]
    between = (alpha >= nodes[0]) & (alpha <= nodes[-1])
    residual = interpolation_matrix(nodes, alpha[between]) @ known - mean[between]
    error = max(float(error_estimate(known)), float(np.abs(residual).max()))
    if error <= FINE_TOLERANCE:
        return Fine(at, interpolation_matrix(nodes, at) @ known, error, "interpolated")
    evaluated = line.section(at, input_ids, micro_batch_size)
    return Fine(at, evaluated.mean(axis=(1, 2), dtype=np.float64), error, "evaluated")


def sharpness(alpha: np.ndarray, losses: np.ndarray, window: float) -> float:
    """Second-order coefficient a_2 of a quadratic a_0 + a_1 alpha + a_2 alpha^2 (Fig. 10).

    Least squares fit of the mean loss ``losses`` (alphas,) at evenly spaced ``alpha`` over
    abs(alpha) <= ``window``. Nats per squared norm.
    """
    inside = np.abs(alpha) <= window * (1 + 1e-12)
    return float(np.polyfit(alpha[inside], losses[inside], 2)[0])


def measure(
    model: LanguageModel,
    input_ids: Tensor,
    update: Weights,
    settings: CrossSection,
    micro_batch_size: int,
    group: h5py.Group,
) -> None:
    """Write the cross-section of ``model`` along ``update`` to ``group``.

    ``input_ids`` (sequences, positions) are the evaluation tokens. Raises MeasurementError when
    a loss or a first-order change is not finite, or the update is zero.
    """
    tilde = first_order(model, input_ids, update, micro_batch_size).cpu().numpy()
    line = Line(model, update)
    reach = min(FINE_STEPS * line.norm, settings.span)
    nodes = chebyshev_points(settings.nodes, reach)
    even = np.linspace(-settings.span, settings.span, settings.points)
    even[len(even) // 2] = 0.0
    alpha = np.unique(np.concatenate([even, nodes, [line.norm]]))
    with line:
        losses = line.section(alpha, input_ids, micro_batch_size)
        epsilon = settings.epsilon * line.norm
        nudged = line.losses(epsilon, input_ids, micro_batch_size)
        fine = fine_mean(
            line, nodes, alpha, losses, settings.fine_points, input_ids, micro_batch_size
        )
    at_start = losses[np.searchsorted(alpha, 0.0)]
    change = np.subtract(losses[np.searchsorted(alpha, line.norm)], at_start, dtype=np.float64)
    forward = np.subtract(nudged, at_start, dtype=np.float64) / settings.epsilon
    group.attrs["sequences"] = len(input_ids)
    group.attrs["step_on_grid"] = bool(line.norm <= settings.span)
    group.attrs["fine_method"] = fine.method
    window = min(settings.sharpness_updates * line.norm, settings.span)
    mean = losses.mean(axis=(1, 2), dtype=np.float64)
    _write(
        group,
        {
            "alpha": alpha,
            "even_alpha": even,
            "cross_section": losses,
            "mean_cross_section": mean,
            "first_order_delta_loss": tilde,
            "finite_difference_delta_loss": forward,
            "fine_alpha": fine.alpha,
            "fine_mean_cross_section": fine.mean,
            "fine_error": fine.error,
            "update_norm": line.norm,
            "epsilon": epsilon,
            "r_jvp": correlation(change, tilde),
            "r_fd": correlation(change, forward),
            "D": interference(change).D,
            "D_first_order": interference(tilde).D,
            "sharpness": sharpness(fine.alpha, fine.mean, window),
            "sharpness_window": window,
        },
    )


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation over all tokens (Fig. 9); NaN when one does not vary."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


TOKENS = ("sequences", "positions")
DATASETS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "alpha": ("parameter norm", ("alphas",), "places on the line, 0 and the step among them"),
    "even_alpha": ("parameter norm", ("even_alphas",), "those of alpha that are evenly spaced"),
    "cross_section": ("nats", ("alphas", *TOKENS), "token losses at theta + alpha u / norm(u)"),
    "mean_cross_section": ("nats", ("alphas",), "mean of cross_section over the tokens"),
    "first_order_delta_loss": ("nats", TOKENS, "change by the step to first order (Eq. 7), exact"),
    "finite_difference_delta_loss": (
        "nats",
        TOKENS,
        "change by the step to first order, by the forward difference over epsilon",
    ),
    "fine_alpha": ("parameter norm", ("fine_alphas",), "evenly spaced places near 0"),
    "fine_mean_cross_section": (
        "nats",
        ("fine_alphas",),
        "mean loss at fine_alpha, from values made as the group's attribute fine_method says",
    ),
    "fine_error": ("nats", (), "estimated error of fine_mean_cross_section if interpolated"),
    "update_norm": ("parameter norm", (), "norm of the update u: alpha of the step itself"),
    "epsilon": ("parameter norm", (), "alpha of the forward difference"),
    "r_jvp": ("1", (), "Pearson correlation over tokens of delta_loss of the step with Eq. 7"),
    "r_fd": ("1", (), "the same with the forward difference"),
    "D": ("1", (), "destructive interference (Eq. 3) of the changes by the step"),
    "D_first_order": ("1", (), "destructive interference (Eq. 8) of the first-order changes"),
    "sharpness": ("nats per squared parameter norm", (), "a_2 of the quadratic fit (Fig. 10)"),
    "sharpness_window": ("parameter norm", (), "largest abs(alpha) of that fit"),
}
"""Unit, axes and description of every dataset."""


def _write(group: h5py.Group, values: dict[str, np.ndarray | float]) -> None:
    for name, value in values.items():
        units, axes, description = DATASETS[name]
        array = np.asarray(value)
        kept = array.astype(np.float32) if array.ndim > 1 else array
        write_dataset(group, name, kept, units=units, axes=axes, description=description)
