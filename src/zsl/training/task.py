"""What the processes that train a segment have to know, as a file that each of them reads.

torchrun --nproc-per-node 4 -m zsl.training.task TASK.json
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from zsl.config.grids import Segment
from zsl.config.schema import Run
from zsl.config.sources import Tokenizer
from zsl.data.manifest import read_manifest
from zsl.data.tokens import open_training
from zsl.errors import ZslError
from zsl.files import read_json, write_json
from zsl.training.device import device
from zsl.training.order import order_sha256
from zsl.training.parallel import processes
from zsl.training.segment import train_segment
from zsl.training.trainer import make_trainer

FACTS = "facts.json"


@dataclass(frozen=True)
class TrainingTask:
    """A segment to train; paths are relative to where the process runs."""

    name: str
    """How messages call it."""
    run: dict[str, Any]
    """Settings of the run, as plain values."""
    tokenizer: dict[str, Any]
    """Settings of the tokenizer."""
    manifest: str
    """Manifest of the tokens."""
    tokens: str
    """Folder of the tokens."""
    data_seed: int
    """Seed of the order of the tokens' sequences."""
    segment: str
    """Name of the segment."""
    parent: str | None
    """Checkpoint that it starts from."""
    state: str
    """Folder to train in."""
    threads: int
    """Threads of each process."""

    def write(self, path: Path) -> None:
        """Write the task for other processes."""
        write_json(path, asdict(self))


def train(task: TrainingTask) -> None:
    """Train a segment to its end, in this process or in those that torchrun started.

    Leaves what the lineage record tells of it in ``facts.json`` in the state folder: the order
    of the data, the processes, and how many sequences each read at once.
    """
    device(task.threads)
    run = Run.model_validate(task.run)
    state = Path(task.state)
    with processes() as group:
        tokens = open_training(Path(task.tokens), read_manifest(Path(task.manifest)), run)
        tokenizer = TypeAdapter(Tokenizer).validate_python(task.tokenizer)
        trainer = make_trainer(run, tokenizer, tokens, task.data_seed, group)
        train_segment(
            trainer,
            Segment.parse(task.segment),
            state=state,
            parent=Path(task.parent) if task.parent else None,
            name=task.name,
        )
        facts = {
            "data_order": {"sequences": len(tokens), "sha256": order_sha256(trainer.order)},
            "processes": group.world_size,
            "micro_batch_size": trainer.micro_batch.size,
        }
        if group.rank == 0:
            write_json(state / FACTS, facts)


def main(path: str, log: str) -> None:
    """One of several processes; the first one speaks for all but errors."""
    rank = int(os.environ["RANK"])
    handlers: list[logging.Handler] = [
        logging.StreamHandler(),
        logging.FileHandler(log, encoding="utf-8"),
    ]
    form = f"%(asctime)s %(levelname)s [process {rank}] %(message)s"
    logging.basicConfig(level=logging.WARNING, format=form, handlers=handlers)
    logging.getLogger("zsl").setLevel(logging.INFO if rank == 0 else logging.ERROR)
    try:
        train(TrainingTask(**read_json(path)))
    except ZslError as error:
        logging.getLogger("zsl").error("%s", error)
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
