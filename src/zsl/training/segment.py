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
from pathlib import Path

from zsl.config.grids import Segment, checkpoint_name
from zsl.errors import TrainingError
from zsl.files import write_json
from zsl.progress import Progress
from zsl.training.guards import SaveClock, stop_signal
from zsl.training.lock import Lock, locked
from zsl.training.order import batch_indices
from zsl.training.parallel import Processes
from zsl.training.records import StepRecords
from zsl.training.speed import peak_tokens_per_second
from zsl.training.states import newest_sound, newest_state, owned_steps, saved_states
from zsl.training.trainer import Trainer

log = logging.getLogger(__name__)

LOOK_EVERY = 10
"""Steps between looks at losses, signals and the clock on a GPU, where a look waits for it."""


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
        trainer.settle_micro_batch(state)
        owned = owned_steps(trainer.run, segment)
        progress = Progress(name, segment.end, done=trainer.state.step)
        saves = SaveClock()
        tokens = trainer.run.batch_size * trainer.run.sequence_length
        if trainer.state.step in owned:
            _save(trainer, owned, records, state)
        while trainer.state.step < segment.end:
            started = time.perf_counter()
            loss, grad_norm, rate = trainer.step()
            records.add(trainer.state.step, loss, grad_norm, rate, tokens=tokens, started=started)
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
