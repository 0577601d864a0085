"""One optimizer step: forward and backward over a batch, clipping, update.

The loss is float32 whatever the compute format. A batch may be cut into micro-batches and
over processes; sums are divided by the whole batch's number of tokens, so that the cut does
not change the gradient beyond rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.parallel import DistributedDataParallel

from zsl.config.schema import Run
from zsl.memory import MicroBatch
from zsl.training.parallel import Processes

BF16 = torch.bfloat16
IGNORED = -100


class Bfloat16Weights(nn.Module):
    """Reads bfloat16 copies of all weights; gradients arrive at the float32 master weights."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor) -> object:
        """OLMo's output for ``input_ids`` (sequences, positions)."""
        copies = {name: p.to(BF16) for name, p in self.model.named_parameters()}
        return torch.func.functional_call(self.model, copies, (input_ids,))


@dataclass(frozen=True)
class StepResult:
    """What one step leaves behind, as 0-d tensors on the training device."""

    loss: torch.Tensor
    """The minimised loss over the whole batch, nats."""
    grad_norm: torch.Tensor
    """Global gradient norm before clipping."""


def wrap(model: nn.Module, run: Run, group: Processes) -> nn.Module:
    """The module whose forward pass trains ``model``'s parameters as the run asks."""
    module: nn.Module = model
    if run.precision.weights == "bfloat16":
        module = Bfloat16Weights(module)
    if run.precision.compile:
        module.compile()
    if group.world_size > 1:
        module = DistributedDataParallel(module, gradient_as_bucket_view=True)
    return module


def loss_denominator(run: Run) -> int:
    """Number of tokens that the summed loss of a batch is divided by (``run.loss``)."""
    positions = run.sequence_length - (run.loss == "mean")
    return run.batch_size * positions


def token_losses(logits: torch.Tensor, input_ids: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each prediction in nats, float32 or wider.

    ``logits`` (sequences, positions, vocabulary) predict ``input_ids`` (sequences, positions)
    one position later; the result is (sequences, positions - 1).
    """
    # The last position predicts nothing and is ignored: cutting it off would copy all logits.
    losses = losses_of_rows(logits.flatten(0, 1), next_tokens(input_ids).flatten())
    return losses.view(input_ids.shape)[:, :-1]


def next_tokens(input_ids: torch.Tensor) -> torch.Tensor:
    """What each position of ``input_ids`` (sequences, positions) predicts; the last one nothing."""
    return F.pad(input_ids[:, 1:], (0, 1), value=IGNORED)


def losses_of_rows(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of ``logits`` (rows, vocabulary) at ``targets`` (rows,), float32 or wider.

    Returns (rows,) in nats, 0 where nothing is predicted.
    """
    return F.cross_entropy(_wide(logits), targets, reduction="none", ignore_index=IGNORED)


def _wide(logits: torch.Tensor) -> torch.Tensor:
    return logits.float() if logits.dtype in (torch.float16, BF16) else logits


class _TokenLosses(torch.autograd.Function):
    """:func:`token_losses` whose backward pass writes over what the forward pass saved.

    The gradient of the logits, softmax less one at the target, takes the place of the log
    probabilities: no second array of their size is made, nor one that is zero almost everywhere.
    """

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, input_ids: torch.Tensor) -> torch.Tensor:
        targets = input_ids[:, 1:, None]
        ctx.log_probabilities, ctx.targets = torch.log_softmax(logits, -1), targets
        return -ctx.log_probabilities[:, :-1].gather(-1, targets)[..., 0]

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        errors = ctx.log_probabilities.exp_()
        del ctx.log_probabilities
        ones = torch.ones_like(ctx.targets, dtype=errors.dtype)
        errors[:, :-1].scatter_add_(-1, ctx.targets, -ones).mul_(gradient[..., None])
        errors[:, -1] = 0
        return errors, None


Minimised = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""What is minimised in place of token losses (sequences, positions - 1), made of them and of their
logits (sequences, positions, vocabulary); of the shape of the losses."""


class Passes(Protocol):
    """The forward and backward passes of a step, such as :func:`backward`."""

    def __call__(
        self,
        module: nn.Module,
        input_ids: torch.Tensor,
        run: Run,
        group: Processes,
        size: int,
        *,
        step: int,
    ) -> torch.Tensor:
        """Leave the gradient of step ``step`` (the first is 1) in ``.grad``.

        At most ``size`` of the sequences ``input_ids`` (sequences, positions) are read at once.
        What was left before does not matter: passes are made anew where memory did not hold them.
        Returns this process' part of the mean loss, nats, a 0-d tensor, whatever is minimised.
        """


def train_step(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    input_ids: torch.Tensor,
    run: Run,
    group: Processes,
    *,
    learning_rate: float,
    micro_batch: MicroBatch | None = None,
    passes: Passes | None = None,
    step: int = 1,
) -> StepResult:
    """One update from this process' share of the batch, ``input_ids`` (sequences, positions).

    ``micro_batch`` says how many sequences the memory holds at once; None: ``run`` does. One
    process goes on with fewer when it must; several, whose passes wait for one another, raise
    torch.OutOfMemoryError. ``passes`` leave the gradient of ``step``; None: :func:`backward`.
    """
    make = passes or backward
    micro_batch = micro_batch or MicroBatch(run.precision.micro_batch_size or len(input_ids))

    def work(size: int) -> torch.Tensor:
        return make(module, input_ids, run, group, size, step=step)

    loss = micro_batch.fit(work) if group.world_size == 1 else work(micro_batch.size)
    for parameters in optimizer.param_groups:
        parameters["lr"] = learning_rate
    grad_norm = torch.nn.utils.clip_grad_norm_(module.parameters(), run.optimizer.clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return StepResult(group.sum(loss), grad_norm)


def backward(
    module: nn.Module,
    input_ids: torch.Tensor,
    run: Run,
    group: Processes,
    size: int,
    *,
    step: int = 1,
    minimised: Minimised | None = None,
) -> torch.Tensor:
    """Leave the gradient of the batch's loss in ``.grad``, ``size`` sequences at a time.

    ``minimised`` says of which loss; None: of the mean of all tokens. See :class:`Passes`.
    """
    more = {} if minimised is None else {"minimised": minimised}
    module.zero_grad(set_to_none=True)
    losses = []
    micro_batches = input_ids.split(size)
    for number, micro_batch in enumerate(micro_batches, start=1):
        with alone(module) if number < len(micro_batches) else nullcontext():
            losses.append(backward_alone(module, micro_batch, run, group, **more))
    return torch.stack(losses).sum()


def backward_alone(
    module: nn.Module,
    micro_batch: torch.Tensor,
    run: Run,
    group: Processes,
    *,
    minimised: Minimised | None = None,
) -> torch.Tensor:
    """Add the gradient of ``micro_batch`` (sequences, positions); returns its part of the loss."""
    logits = wide_logits(module, micro_batch, run)
    losses_of_tokens = _TokenLosses.apply(logits, micro_batch)
    loss = losses_of_tokens.sum() / loss_denominator(run)
    asked = loss
    if minimised is not None:
        asked = minimised(losses_of_tokens, logits).sum() / loss_denominator(run)
    # DistributedDataParallel averages gradients over processes; ours is a sum.
    (asked * group.world_size).backward()
    return loss.detach()


def wide_logits(module: nn.Module, micro_batch: torch.Tensor, run: Run) -> torch.Tensor:
    """Logits (sequences, positions, vocabulary) of a pass in the run's formats, as float32."""
    autocast = (
        torch.autocast(micro_batch.device.type, BF16)
        if run.precision.compute == "bfloat16"
        else nullcontext()
    )
    with autocast:
        return _wide(module(micro_batch).logits)


def alone(module: nn.Module) -> AbstractContextManager[None]:
    """Where gradients stay on this process: they are exchanged with the last micro-batch's."""
    return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()
