"""Starting the processes that train a segment together: this one, or several by torchrun.

What trains knows nothing of a scheduler. Here, ``mpi`` is the command that starts another one
once on every node of a job, such as ``srun --ntasks-per-node=1``.
"""

from __future__ import annotations

import logging
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zsl.config.grids import Segment, checkpoint_name
from zsl.errors import PassingError, TrainingError
from zsl.training.task import TrainingTask, train

GRACE = 600
"""Seconds that torchrun gives its processes to save after a signal."""
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class ProcessesError(TrainingError, PassingError):
    """One of several processes failed, which may be for its machine."""


def launch(
    task: TrainingTask, log: Path, *, processes: int = 1, nodes: int = 1, mpi: str = ""
) -> None:
    """Train a segment with ``processes`` on each of ``nodes``, one GPU each.

    Exits with code 143 when a signal stopped the training, which saved its state. Raises
    ProcessesError when it failed; what went wrong is in ``log``.
    """
    if nodes > 1 and not mpi:
        raise TrainingError(
            f"{nodes} nodes: the resource mpi of rule train has to say how a command is started "
            "on each of them, such as srun --ntasks-per-node=1"
        )
    if processes * nodes == 1:
        train(task)
        return
    state = Path(task.state)
    state.mkdir(parents=True, exist_ok=True)
    task.write(state / "task.json")
    started = [*shlex.split(mpi), *torchrun(processes, nodes)]
    worker = ["-m", "zsl.training.task", str(state / "task.json"), str(log)]
    logging.getLogger(__name__).info("starting %s", shlex.join([*started[1:], *worker]))
    with subprocess.Popen([*started, *worker]) as running, _forwarding(running) as signals:
        code = running.wait()
    if (state / "checkpoints" / checkpoint_name(Segment.parse(task.segment).end)).exists():
        return
    if signals:
        raise SystemExit(143)
    raise ProcessesError(
        f"{task.name}: training in {processes * nodes} processes ended with code {code}; what "
        f"went wrong is above and in {log}"
    )


def torchrun(processes: int, nodes: int) -> list[str]:
    """The command that starts ``processes`` on this node, and waits for those of the others."""
    host = f"--rdzv-endpoint={socket.gethostname()}:{_free_port()}"
    meeting = ["--standalone"] if nodes == 1 else ["--rdzv-backend=c10d", host]
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        *meeting,
        f"--nnodes={nodes}",
        f"--nproc-per-node={processes}",
        "--signals-to-handle=" + ",".join(number.name for number in SIGNALS),
        f"--shutdown-timeout={GRACE}",
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _forwarding(running: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Hand signals on to ``running``; yields those that arrived."""
    arrived: list[int] = []

    def forward(number: int, frame: object) -> None:
        arrived.append(number)
        running.send_signal(number)

    before = [signal.signal(number, forward) for number in SIGNALS]
    try:
        yield arrived
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)
