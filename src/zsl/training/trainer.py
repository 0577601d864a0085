"""A run in memory: the next step, and how many sequences each process reads at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from zsl.config.schema import Run
from zsl.config.sources import Tokenizer
from zsl.errors import TrainingError
from zsl.memory import MicroBatch, check_room
from zsl.models.olmo.adapter import Olmo
from zsl.models.olmo.build import build_model
from zsl.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from zsl.training.loader import Loader, Tokens
from zsl.training.micro_batch import bytes_of_sequence, first_size
from zsl.training.model import learning_rate, make_optimizer, make_passes, make_scheduler
from zsl.training.order import Order, run_order
from zsl.training.parallel import Processes
from zsl.training.sharding import gather, is_needed, of_this_process, shared_out, weights
from zsl.training.step import StepResult, alone, backward_alone, train_step, wrap

KEPT = "micro_batch_size.json"


@dataclass
class Trainer:
    """A run in memory: what one process needs to make the next step."""

    run: Run
    model: Olmo
    optimizer: torch.optim.Optimizer
    tokens: Tokens
    order: Order
    group: Processes
    state: TrainingState = field(default_factory=lambda: TrainingState(0, 0, 0))

    def __post_init__(self) -> None:
        self.module = wrap(self.model, self.run, self.group)
        on_gpu = self.group.device.type == "cuda"
        self.loader = Loader(self.run, self.tokens, self.order, self.group, ahead=on_gpu)
        share = self.run.batch_size // self.group.world_size
        self.micro_batch = MicroBatch(first_size(self.run, self.model, share))
        self._scheduler = make_scheduler(self.run)
        self._passes = make_passes(self.run, self.model, self.optimizer)

    def step(self) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Make the next step: loss and gradient norm (0-d tensors), and the rate used.

        Raises TrainingError when the GPU's memory does not hold it and nothing can be tried here.
        """
        run, step = self.run, self.state.step + 1
        rate = learning_rate(run, self._scheduler, step)
        try:
            result = self._update(step, rate)
        except torch.OutOfMemoryError as error:
            # Others wait for this process, or the weights are changed in part: begin anew.
            self.micro_batch.halve(str(error))
            raise TrainingError(
                f"step {step}: out of memory; nothing that was saved is lost, and the next "
                f"attempt goes on with {self.micro_batch.size} sequences at once: run again"
            ) from None
        sequences = step * run.batch_size
        self.state = TrainingState(step, sequences, sequences * run.sequence_length)
        return result.loss, result.grad_norm, rate

    def _update(self, step: int, rate: float) -> StepResult:
        return train_step(
            self.module,
            self.optimizer,
            self.loader.batch(step),
            self.run,
            self.group,
            learning_rate=rate,
            micro_batch=self.micro_batch,
            passes=self._passes,
            step=step,
        )

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint."""
        self.state = load_checkpoint(folder, self.model, self.optimizer)

    def save(self, folder: Path) -> None:
        """Write a checkpoint; only the first process does, and all wait for it."""
        gather(self.optimizer)
        if self.group.rank == 0:
            save_checkpoint(folder, self.model, self.optimizer, self.state)
        self.group.barrier()

    def settle_micro_batch(self, state: Path) -> None:
        """Choose what an earlier attempt found to fit, and what fits in every process.

        It is found before processes wait for one another: one that ran out of memory in the middle
        of a step would leave the others waiting for its gradients.

        Raises OutOfMemory where one sequence does not fit, or the memory of a CPU is too small.
        """
        self.micro_batch = MicroBatch.kept(state / KEPT, self.micro_batch.size)
        if self.group.device.type == "cpu":
            self._check_room()
        if self.group.world_size == 1:
            return
        room = self._room_for_state()
        self.micro_batch.fit(self._try)
        del room
        self.micro_batch.size = self.group.least(self.micro_batch.size)

    def _check_room(self) -> None:
        size, run = self.micro_batch.size, self.run
        of_weights = sum(weight.nbytes for weight in self.model.parameters())
        numbers = 1 + run.optimizer.moments
        numbers += run.intervention.copies if run.intervention else 0
        check_room(
            size * bytes_of_sequence(run, self.model) + numbers * of_weights,
            f"training steps of {size} sequences of {run.sequence_length:,} tokens at once",
            "lower precision.micro_batch_size" if size > 1 else "train a smaller model",
        )

    def _try(self, size: int) -> None:
        """Forward and backward pass of ``size`` sequences, of which nothing is kept."""
        step = min(self.state.step + 1, self.run.steps)
        input_ids = self.loader.batch(step)[:size]
        with alone(self.module):
            backward_alone(self.module, input_ids, self.run, self.group)
        self.module.zero_grad(set_to_none=True)

    def _room_for_state(self) -> torch.Tensor | None:
        """As much memory as the optimizer's state will take, where it has none yet."""
        mine = of_this_process(self.optimizer)
        if mine.state or self.group.device.type != "cuda":
            return None
        numbers = self.run.optimizer.moments * sum(weight.numel() for weight in weights(mine))
        return torch.empty(numbers, dtype=torch.float32, device=self.group.device)


def make_trainer(
    run: Run, tokenizer: Tokenizer, tokens: Tokens, data_seed: int, group: Processes
) -> Trainer:
    """A trainer at step 0.

    Raises TrainingError when the batch cannot be shared equally by the processes, or the run's
    intervention works in one process only.
    """
    if run.batch_size % group.world_size:
        raise TrainingError(
            f"batch_size = {run.batch_size}: cannot be shared by {group.world_size} processes; "
            "start a number of processes that divides it"
        )
    if run.intervention and group.world_size > 1 and not run.intervention.processes:
        raise TrainingError(
            f"intervention.name = {run.intervention.name!r}: works in one process only, and "
            f"{group.world_size} were started; train this run with one (resource processes: 1)"
        )
    model = build_model(run, tokenizer).to(group.device)
    torch.manual_seed(run.seed)  # checkpoints hold the generator's state, random at the start
    order = run_order(run, len(tokens), data_seed)
    optimizer = make_optimizer(run, model)
    if is_needed(optimizer, group):
        optimizer = shared_out(optimizer)
    return Trainer(run, model, optimizer, tokens, order, group)
