"""Agreement: coordinates of the gradient count by how far the tokens of the batch agree on them.

    g_j <- s g_j C_j^gamma,    C_j = |sum_i g_ij| / sum_i |g_ij| = 1 - D_j,

with s such that the norm of the whole gradient stays, gamma a dose: 1/2 and 1 strengthen what
tokens agree on, -1/2 does the opposite. C is 1 where no token has a share, and at least
:data:`FLOOR`, so that factors that are kept for other steps stay bounded where gamma < 0.

g_ij is the proxy of Section A.3, per position, on the batch itself: hooks in the step's own
backward pass, as :mod:`zsl.measurements.gradient_opposition` measures D. *Assumed:* that the proxy
ranks coordinates as true per-token gradients would, that disagreement marks zero-sum learning
rather than noise (of n tokens with random signs, C is about n^-1/2), and that with ``every`` > 1 C
changes slowly. *Source:* Eq. 4, A.3 of the paper; the rule is ours, near soft forms of the AND-mask
(Parascandolo et al., 2021) and of gradient signal-to-noise weights (Liu et al., 2020).

*Cost:* one more product a weight, 1/3 of a step's FLOPs at ``every`` = 1, 1/12 at 4. *Memory:* one
number a weight, kept in checkpoints beside the moments where ``every`` > 1, so that a resumed run
goes on with the same factors. float32, not compiled, one process: sums of other processes would
have to be exchanged. Micro-batches and order of the batch change nothing beyond rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from zsl.config.interventions import Agreement
from zsl.config.schema import Run
from zsl.measurements.gradient_opposition import Sums, absolute_gradients, of_output
from zsl.models.base import LanguageModel
from zsl.training.parallel import Processes
from zsl.training.step import backward

FLOOR = 1e-3
"""Least C_j."""
KEPT = "agreement"
"""Name of the factors among what the optimizer keeps of a weight."""

Change = Callable[[Sums, int], Sums]
"""Factors by weight, from those of this step and the step's number."""


def build(
    settings: Agreement, model: LanguageModel, optimizer: torch.optim.Optimizer
) -> WeighedCoordinates:
    """Passes of a step with the factors C_j^gamma."""
    return WeighedCoordinates(settings, model, optimizer, lambda factors, _: factors)


class WeighedCoordinates:
    """Passes whose gradient is multiplied by factors of the coordinates; see Passes."""

    def __init__(
        self,
        settings: Agreement,
        model: LanguageModel,
        optimizer: torch.optim.Optimizer,
        change: Change,
    ) -> None:
        self._settings, self._model, self._optimizer = settings, model, optimizer
        self._change = change
        self._measured: Sums = {}
        if settings.kept:
            optimizer.register_step_post_hook(self._keep)

    def __call__(
        self,
        module: nn.Module,
        input_ids: Tensor,
        run: Run,
        group: Processes,
        size: int,
        *,
        step: int,
    ) -> Tensor:
        """See Passes."""
        if (step - 1) % self._settings.every:
            loss = backward(module, input_ids, run, group, size)
            state = self._optimizer.state
            factors = {name: state[p][KEPT] for name, p in self._model.named_parameters()}
        else:
            with absolute_gradients(self._model) as absolute:
                watched = _Watched(self._model, absolute)
                loss = backward(watched, input_ids, run, group, size)
            measured = self._factors(absolute)
            factors = self._measured = self._change(measured, step)
        self._multiply(factors)
        return loss

    def _factors(self, absolute: Sums) -> Sums:
        """C_j^gamma of every coordinate, from sum_i abs(g_ij) and the gradient."""
        factors = {}
        for name, parameter in self._model.named_parameters():
            agreement = _gradient(parameter).abs().div_(absolute[name])
            agreement.nan_to_num_(nan=1.0).clamp_(FLOOR, 1.0)  # 0 / 0: no token has a share
            factors[name] = agreement.pow_(self._settings.gamma)
        return factors

    @torch.no_grad()
    def _multiply(self, factors: Sums) -> None:
        """Multiply the gradient, and scale it to the norm that it had."""
        gradients = {name: _gradient(p) for name, p in self._model.named_parameters()}
        before = torch.nn.utils.get_total_norm(gradients.values())
        for name, gradient in gradients.items():
            gradient.mul_(factors[name])
        after = torch.nn.utils.get_total_norm(gradients.values())
        scale = torch.where(after > 0, before / after, 1.0)
        for gradient in gradients.values():
            gradient.mul_(scale)

    def _keep(self, *_: object) -> None:
        """Leave measured factors where checkpoints find them.

        After the optimizer's step: some take a weight of which nothing is kept for a new one.
        """
        if self._measured:
            for name, parameter in self._model.named_parameters():
                self._optimizer.state[parameter][KEPT] = self._measured[name]
        self._measured = {}


class _Watched(nn.Module):
    """A model whose passes add up absolute gradients of what makes logits, too."""

    def __init__(self, model: LanguageModel, absolute: Sums) -> None:
        super().__init__()
        self.model = model
        self._on_logits = partial(of_output, model, absolute)

    def forward(self, input_ids: Tensor) -> SimpleNamespace:
        """Logits of ``input_ids`` (sequences, positions)."""
        hidden = self.model.hidden(input_ids)
        return SimpleNamespace(logits=self.model.logits(hidden, self._on_logits))


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None, "every weight takes part in the loss"
    return parameter.grad
