"""What every step leaves behind: ``steps.csv`` (reproducible) and ``throughput.csv``.

``steps.json`` holds, for each step after which they were written, the SHA-256 of ``steps.csv`` as
it was then: an interrupted segment goes on from lines that are what was written, or not at all.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from zsl.errors import BrokenFileError, TrainingError
from zsl.files import read_json, write_json, write_text
from zsl.permissions import require_readable

STEPS_HEADER = ("step", "train_loss", "learning_rate", "grad_norm")
THROUGHPUT_HEADER = ("step", "tokens_per_second")
STEPS, THROUGHPUT, DIGESTS = "steps.csv", "throughput.csv", "steps.json"


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
        self._digest = hashlib.sha256()
        self._digests: dict[str, str] = {}

    @classmethod
    def resume(cls, folder: Path | None, done: range, peak: float | None = None) -> StepRecords:
        """Records of the steps ``done``; later lines, of steps to be made again, are dropped.

        Without a ``folder`` (in all processes but the first) nothing is written. ``peak`` is the
        number of tokens per second that the GPUs' peak rate would allow.

        Raises TrainingError where the lines of ``steps.csv`` are not those that were written.
        """
        records = cls(folder, peak)
        if folder is None:
            return records
        kept = _first_lines(folder / STEPS, STEPS_HEADER, len(done))
        records._digest.update(kept.encode())
        if done:
            require_readable(folder / DIGESTS)
            records._digests = _read_digests(folder / DIGESTS)
            if records._digests.get(str(done[-1])) != records._digest.hexdigest():
                raise TrainingError(
                    f"{folder / STEPS}: damaged since it was written; delete {folder} and run "
                    "again: the segment is trained anew"
                )
        write_text(folder / STEPS, kept)
        speeds = _first_lines(folder / THROUGHPUT, THROUGHPUT_HEADER, len(done))
        write_text(folder / THROUGHPUT, speeds)
        return records

    def add(
        self,
        step: int,
        loss: torch.Tensor,
        grad_norm: torch.Tensor,
        rate: float,
        *,
        tokens: int,
        started: float,
    ) -> None:
        """Note a step over so many ``tokens`` without waiting for the device."""
        self._unread.append((step, loss, rate, grad_norm, tokens, started))

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
        if self._folder is None or not rows:
            return
        steps = [(r.step, r.train_loss, r.learning_rate, r.grad_norm) for r in rows]
        self._digest.update(self._append(STEPS, steps).encode())
        self._append(THROUGHPUT, [(r.step, round(r.tokens_per_second)) for r in rows])
        self._digests[str(rows[-1].step)] = self._digest.hexdigest()
        write_json(self._folder / DIGESTS, self._digests)

    def summary(self) -> str:
        """Loss and speed of the newest step that was read, and the model FLOP utilisation."""
        if self._last is None:
            return ""
        speed = self._last.tokens_per_second
        used = f", {speed / self._peak:.0%} of the peak" if self._peak else ""
        return f"loss {self._last.train_loss:.3f}, {speed:,.0f} tokens/s{used}"

    def _append(self, name: str, rows: Sequence[tuple[object, ...]]) -> str:
        assert self._folder is not None
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        with (self._folder / name).open("a") as file:
            file.write(text.getvalue())
            file.flush()
            os.fsync(file.fileno())
        return text.getvalue()


def _first_lines(path: Path, header: tuple[str, ...], number: int) -> str:
    """The header and so many lines of a file; the header alone where there is none."""
    if not number or not path.exists():
        return ",".join(header) + "\n"
    lines = path.read_text(errors="replace").splitlines(keepends=True)
    return "".join(lines[: number + 1])


def _read_digests(path: Path) -> dict[str, str]:
    """What ``steps.json`` holds; nothing where it is not what was written."""
    try:
        return dict(read_json(path))
    except (OSError, BrokenFileError, TypeError, ValueError):
        return {}
