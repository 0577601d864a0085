"""What every step leaves behind: ``steps.csv`` (reproducible) and ``throughput.csv``."""

from __future__ import annotations

import csv
import io
import math
import os
import time
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from zsl.errors import TrainingError
from zsl.files import write_text

if TYPE_CHECKING:
    from zsl.training.segment import Trainer

STEPS_HEADER = ("step", "train_loss", "learning_rate", "grad_norm")
THROUGHPUT_HEADER = ("step", "tokens_per_second")
HEADERS = {"steps.csv": STEPS_HEADER, "throughput.csv": THROUGHPUT_HEADER}


@dataclass(frozen=True)
class StepRecord:
    """One step: loss in nats before the update, rate used, norm before clipping."""

    step: int
    train_loss: float
    learning_rate: float
    grad_norm: float
    tokens_per_second: float


class StepRecords:
    """Collects steps in memory and appends them to the files at every save."""

    def __init__(self, folder: Path | None, peak: float | None = None) -> None:
        self._folder = folder
        self._peak = peak
        self._unread: list[tuple[int, torch.Tensor, float, torch.Tensor, int, float]] = []
        self._unwritten: list[StepRecord] = []
        self._last: StepRecord | None = None

    @classmethod
    def resume(cls, folder: Path | None, done: range, peak: float | None = None) -> StepRecords:
        """Records of the steps ``done``; later lines, of steps to be made again, are dropped.

        Without a ``folder`` (in all processes but the first) nothing is written. ``peak`` is the
        number of tokens per second that the GPUs' peak rate would allow.

        Raises TrainingError where a line is missing, doubled, or none.
        """
        if folder is None:
            return cls(None, peak)
        for name, header in HEADERS.items():
            path = folder / name
            lines = path.read_text().splitlines()[1:] if path.exists() else []
            complete = [line for line in lines if line.count(",") == len(header) - 1]
            kept = _lines_of(done, complete, path)
            write_text(path, "\n".join([",".join(header), *kept]) + "\n")
        return cls(folder, peak)

    def add(
        self,
        trainer: Trainer,
        loss: torch.Tensor,
        grad_norm: torch.Tensor,
        rate: float,
        started: float,
    ) -> None:
        """Note a step without waiting for the device."""
        tokens = trainer.run.batch_size * trainer.run.sequence_length
        self._unread.append((trainer.state.step, loss, rate, grad_norm, tokens, started))

    def read(self) -> StepRecord | None:
        """Read the noted steps from the device; return the first one that is not finite."""
        if not self._unread:
            return None
        values = torch.stack([torch.stack((n[1], n[3])) for n in self._unread]).tolist()
        seconds = (time.perf_counter() - self._unread[0][5]) / len(self._unread)
        noted, self._unread = self._unread, []
        for (step, _, rate, _, tokens, _), (loss, norm) in zip(noted, values, strict=True):
            record = StepRecord(step, loss, rate, norm, tokens / seconds)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                return record
            self._unwritten.append(record)
            self._last = record
        return None

    def flush(self) -> None:
        """Append what was read to the files and wait until it is on the disk."""
        rows = self._unwritten
        self._unwritten = []
        if self._folder is None:
            return
        self._append(
            "steps.csv", [(r.step, r.train_loss, r.learning_rate, r.grad_norm) for r in rows]
        )
        self._append("throughput.csv", [(r.step, round(r.tokens_per_second)) for r in rows])

    def summary(self) -> str:
        """Loss and speed of the newest step that was read, and the model FLOP utilisation."""
        if self._last is None:
            return ""
        speed = self._last.tokens_per_second
        used = f", {speed / self._peak:.0%} of the peak" if self._peak else ""
        return f"loss {self._last.train_loss:.3f}, {speed:,.0f} tokens/s{used}"

    def _append(self, name: str, rows: list[tuple[object, ...]]) -> None:
        assert self._folder is not None
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        with (self._folder / name).open("a") as file:
            file.write(text.getvalue())
            file.flush()
            os.fsync(file.fileno())


def _lines_of(done: range, lines: list[str], path: Path) -> list[str]:
    """Those of the steps ``done``, which come first."""
    kept = lines[: len(done)]
    for step, line in zip_longest(done, kept, fillvalue=""):
        if line.split(",", 1)[0] != str(step):
            raise TrainingError(
                f"{path}: {line!r} instead of the line of step {step}: damaged since it was "
                f"written; delete {path.parent} and run again: the segment is trained anew"
            )
    return kept
