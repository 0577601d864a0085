"""Training one segment of a run so that nothing is lost and nothing half-made is used.

A segment is trained in a folder of its own under ``state/`` and moved to its place at the
end. The state folder's name is a digest of everything the result depends on, so that a
changed setting never resumes from another one's state. In it::

    lock                 held while a process trains here
    checkpoints/         finished checkpoints that this segment owns
    resume/              the newest full state between them
    steps.csv            step, train_loss, learning_rate, grad_norm up to the newest state
    throughput.csv       step, tokens_per_second
    failure.json         why training stopped, when the loss was not finite
"""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from olmo.model import OLMo

from zsl.config.grids import Segment, checkpoint_name, measured_steps
from zsl.config.schema import Run
from zsl.config.sources import Tokenizer
from zsl.errors import TrainingError
from zsl.files import link_or_copy, sha256, write_json
from zsl.progress import Progress
from zsl.training.checkpoint import FILES, TrainingState, load_checkpoint, save_checkpoint
from zsl.training.guards import SaveClock, locked, stop_signal
from zsl.training.model import build_model, learning_rate, make_optimizer, make_scheduler
from zsl.training.order import Order, batch_indices, run_order
from zsl.training.parallel import Processes
from zsl.training.records import StepRecords
from zsl.training.step import train_step, wrap

log = logging.getLogger(__name__)

FLUSH_EVERY = 10
"""Steps between looks at the losses on a GPU, where each look waits for the device."""


class Tokens(Protocol):
    """Fixed-length sequences of tokens."""

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """Sequences of ``indices``, (sequences, positions) int64."""


@dataclass
class Trainer:
    """A run in memory: what one process needs to make the next step."""

    run: Run
    model: OLMo
    optimizer: torch.optim.Optimizer
    tokens: Tokens
    order: Order
    group: Processes
    state: TrainingState = field(default_factory=lambda: TrainingState(0, 0, 0))

    def __post_init__(self) -> None:
        self._module = wrap(self.model, self.run, self.group)
        self._scheduler = make_scheduler(self.run)

    def step(self) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Make the next step: loss and gradient norm (0-d tensors), and the rate used."""
        run, step = self.run, self.state.step + 1
        rate = learning_rate(run, self._scheduler, step)
        mine = self.group.share(batch_indices(self.order, step, run.batch_size), run.batch_size)
        input_ids = torch.from_numpy(self.tokens.batch(mine)).to(self.group.device)
        result = train_step(
            self._module, self.optimizer, input_ids, run, self.group, learning_rate=rate
        )
        sequences = step * run.batch_size
        self.state = TrainingState(step, sequences, sequences * run.sequence_length)
        return result.loss, result.grad_norm, rate

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint."""
        self.state = load_checkpoint(folder, self.model, self.optimizer)

    def save(self, folder: Path) -> None:
        """Write a checkpoint; only the first process does, and all wait for it."""
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
    return Trainer(run, model, make_optimizer(run, model), tokens, order, group)


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
    with locked(state, trainer.group), stop_signal() as arrived:
        records = _resume(trainer, segment, state, parent)
        owned = owned_steps(trainer.run, segment)
        progress = Progress(name, segment.end, done=trainer.state.step)
        saves = SaveClock()
        if trainer.state.step in owned:
            _save(trainer, owned, records, state)
        while trainer.state.step < segment.end:
            started = time.perf_counter()
            records.add(trainer, *trainer.step(), started)
            step = trainer.state.step
            stopping = trainer.group.any(bool(arrived))
            due = step in owned or stopping or trainer.group.any(saves.due())
            if due or trainer.group.device.type == "cpu" or step % FLUSH_EVERY == 0:
                _check_finite(trainer, records, state)
            if due:
                with saves.timed():
                    _save(trainer, owned, records, state)
            progress.update(step, records.summary)
            if stopping:
                log.warning("%s: stopped by a signal at step %d, saved", name, step)
                raise SystemExit(143)


def publish_segment(run: Run, segment: Segment, *, state: Path, folder: Path) -> dict[str, object]:
    """Move a finished segment's checkpoints to ``folder``; return its manifest.

    The manifest holds no times: step numbers and the SHA-256 of each checkpoint's files.
    """
    steps = owned_steps(run, segment)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(state / "checkpoints", partial, copy_function=link_or_copy)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return {
        "segment": segment.name,
        "steps": steps,
        "files": {
            f"{checkpoint_name(step)}/{file}": sha256(folder / checkpoint_name(step) / file)
            for step in steps
            for file in FILES
        },
    }


def owned_steps(run: Run, segment: Segment) -> list[int]:
    """Steps at which ``segment`` writes a checkpoint, its last step among them."""
    steps = {*measured_steps(run.steps, run.checkpoints.also), segment.end}
    return sorted(step for step in steps if segment.owns(step))


def _save(trainer: Trainer, owned: list[int], records: StepRecords, state: Path) -> None:
    """Save the full state, among the checkpoints if this step is one to keep."""
    if trainer.group.rank == 0:
        records.flush()
    step = trainer.state.step
    trainer.save(state / ("checkpoints" if step in owned else "resume") / checkpoint_name(step))
    if trainer.group.rank == 0:
        for old in _states(state / "resume"):
            if old.name != checkpoint_name(step):
                shutil.rmtree(old)


def _states(folder: Path) -> list[Path]:
    return sorted(folder.glob("step*"))


def _newest(state: Path) -> Path | None:
    both = [*_states(state / "resume"), *_states(state / "checkpoints")]
    return max(both, key=lambda folder: folder.name, default=None)


def _resume(trainer: Trainer, segment: Segment, state: Path, parent: Path | None) -> StepRecords:
    """Bring the trainer to the newest state, or to where the segment starts."""
    newest = _newest(state)
    start = newest or parent
    if start is not None:
        trainer.load(start)
    if newest is not None:
        log.info("resuming at step %d", trainer.state.step)
    if not segment.start <= trainer.state.step <= segment.end:
        raise TrainingError(
            f"{start}: is at step {trainer.state.step}, outside of segment {segment.name}; "
            f"delete {state} and run again"
        )
    return StepRecords.resume(state, trainer.state.step)


def _check_finite(trainer: Trainer, records: StepRecords, state: Path) -> None:
    bad = records.read()
    if bad is None:
        return
    indices = batch_indices(trainer.order, bad.step, trainer.run.batch_size)
    last = str(_newest(state) or "the one this segment started from")
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
