"""Training one segment of a run so that nothing is lost and nothing half-made is used.

A segment is trained in a folder of its own under ``state/`` and moved to its place at the
end. The state folder's name is a digest of everything the result depends on, so that a
changed setting never resumes from another one's state. In it::

    lock                 held while a job trains here
    checkpoints/         finished checkpoints that this segment owns
    resume/              the newest full state between them
    steps.csv            step, train_loss, learning_rate, grad_norm up to the newest state
    steps.json           digests of steps.csv as it was at each save
    throughput.csv       step, tokens_per_second
    failure.json         why training stopped, when the loss was not finite
    micro_batch_size.json  sequences at once, when memory held fewer than asked for
    task.json, facts.json  what the processes of a job were told, and what they tell
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch

from zsl.config.grids import Segment, checkpoint_name
from zsl.config.schema import Run
from zsl.config.sources import Tokenizer
from zsl.errors import TrainingError
from zsl.files import write_json
from zsl.memory import MicroBatch
from zsl.models.olmo.adapter import Olmo
from zsl.models.olmo.build import build_model
from zsl.progress import Progress
from zsl.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from zsl.training.guards import SaveClock, stop_signal
from zsl.training.loader import Loader, Tokens
from zsl.training.lock import Lock, locked
from zsl.training.micro_batch import first_size, settle_micro_batch
from zsl.training.model import learning_rate, make_optimizer, make_scheduler
from zsl.training.order import Order, batch_indices, run_order
from zsl.training.parallel import Processes
from zsl.training.records import StepRecords
from zsl.training.sharding import gather, is_needed, shared_out
from zsl.training.speed import peak_tokens_per_second
from zsl.training.states import newest_sound, newest_state, owned_steps, saved_states
from zsl.training.step import StepResult, train_step, wrap

log = logging.getLogger(__name__)

LOOK_EVERY = 10
"""Steps between looks at losses, signals and the clock on a GPU, where a look waits for it."""


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


def make_trainer(
    run: Run, tokenizer: Tokenizer, tokens: Tokens, data_seed: int, group: Processes
) -> Trainer:
    """A trainer at step 0.

    Raises TrainingError when the batch cannot be shared equally by the processes.
    """
    if run.batch_size % group.world_size:
        raise TrainingError(
            f"batch_size = {run.batch_size}: cannot be shared by {group.world_size} processes; "
            "start a number of processes that divides it"
        )
    model = build_model(run, tokenizer).to(group.device)
    torch.manual_seed(run.seed)  # checkpoints hold the generator's state, random at the start
    order = run_order(run, len(tokens), data_seed)
    optimizer = make_optimizer(run, model)
    if is_needed(optimizer, group):
        optimizer = shared_out(optimizer)
    return Trainer(run, model, optimizer, tokens, order, group)


def train_segment(
    trainer: Trainer, segment: Segment, *, state: Path, parent: Path | None, name: str
) -> None:
    """Train ``segment`` to its end in the folder ``state``, resuming what is there.

    ``parent`` is the checkpoint the segment starts from (None for the first segment);
    ``name`` stands in messages. SIGTERM, SIGUSR1 and SIGINT save the state and exit with
    code 143.

    Raises TrainingError when the loss is not finite (step, batch and last good checkpoint
    are named and written to ``failure.json``) or when another process trains here.
    """
    state.mkdir(parents=True, exist_ok=True)
    group = trainer.group
    with stop_signal() as arrived, _only_here(state, group) as lock:
        records = _resume(trainer, segment, state, parent)
        settle_micro_batch(trainer, state)
        owned = owned_steps(trainer.run, segment)
        progress = Progress(name, segment.end, done=trainer.state.step)
        saves = SaveClock()
        if trainer.state.step in owned:
            _save(trainer, owned, records, state)
        while trainer.state.step < segment.end:
            started = time.perf_counter()
            records.add(trainer, *trainer.step(), started)
            step = trainer.state.step
            keep = step in owned
            if not (keep or group.device.type == "cpu" or step % LOOK_EVERY == 0):
                continue
            _check_finite(trainer, records, state)
            stopping, due = group.any(bool(arrived), saves.due())
            if keep or stopping or due:
                if lock is not None:
                    lock.check()
                with saves.timed():
                    _save(trainer, owned, records, state)
            progress.update(step, records.summary)
            if stopping:
                log.warning("%s: stopped by a signal at step %d, saved", name, step)
                raise SystemExit(143)


def _save(trainer: Trainer, owned: list[int], records: StepRecords, state: Path) -> None:
    """Save the full state, among the checkpoints if this step is one to keep."""
    records.flush()
    step = trainer.state.step
    trainer.save(state / ("checkpoints" if step in owned else "resume") / checkpoint_name(step))
    if trainer.group.rank == 0:
        for old in saved_states(state / "resume"):
            if old.name != checkpoint_name(step):
                shutil.rmtree(old)


@contextmanager
def _only_here(state: Path, group: Processes) -> Iterator[Lock | None]:
    """Hold the lock of the segment, which one process holds for all of a job."""
    with locked(state / "lock") if group.rank == 0 else nullcontext() as lock:
        yield lock


def _resume(trainer: Trainer, segment: Segment, state: Path, parent: Path | None) -> StepRecords:
    """Bring the trainer to the newest state, or to where the segment starts."""
    # On a network file system others may see it later: the first process decides.
    first = trainer.group.rank == 0
    newest = trainer.group.from_first(str((first and newest_sound(state)) or ""))
    start = Path(newest) if newest else parent
    if start is not None:
        trainer.load(start)
    if newest:
        log.info("resuming at step %d", trainer.state.step)
    if not segment.start <= trainer.state.step <= segment.end:
        raise TrainingError(
            f"{start}: is at step {trainer.state.step}, outside of segment {segment.name}; "
            f"delete {state} and run again"
        )
    peak = peak_tokens_per_second(trainer.run, trainer.model.rows, trainer.group)
    done = range(segment.start + 1, trainer.state.step + 1)
    return StepRecords.resume(state if first else None, done, peak)


def _check_finite(trainer: Trainer, records: StepRecords, state: Path) -> None:
    bad = records.read()
    if bad is None:
        return
    indices = batch_indices(trainer.order, bad.step, trainer.run.batch_size)
    last = str(newest_state(state) or "the one this segment started from")
    failure = {
        "step": bad.step,
        "train_loss": str(bad.train_loss),
        "grad_norm": str(bad.grad_norm),
        "sequences": [int(i) for i in indices],
        "last_good_checkpoint": last,
    }
    if trainer.group.rank == 0:
        write_json(state / "failure.json", failure)
    shown = ", ".join(str(i) for i in indices[:8]) + (", ..." if len(indices) > 8 else "")
    raise TrainingError(
        f"step {bad.step}: the loss is {bad.train_loss} and the gradient norm {bad.grad_norm}; "
        f"the batch is the training sequences {shown} (all in {state / 'failure.json'}); the "
        f"last good checkpoint is {last}. Lower the learning rate or look at the batch; "
        "nothing that was finished is lost"
    )
