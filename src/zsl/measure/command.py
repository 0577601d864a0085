"""The command ``zsl measure``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any, get_args

from zsl.config.measurements import MEASUREMENTS, TaskName
from zsl.errors import MeasurementError

MOST_THREADS = 1024


def add_command(commands: Any) -> None:
    """Add ``measure`` to the subparsers of ``zsl``."""
    added = commands.add_parser(
        "measure",
        help="measure one checkpoint, ours or another's that OLMo or transformers wrote",
        description="Write one measurement of one checkpoint to HDF5 and print its numbers; see "
        "docs/measurements.md.",
    )
    added.set_defaults(command=_measure)
    added.add_argument("measurement", choices=[*MEASUREMENTS])
    for name, text in (
        (
            "checkpoint",
            "folder with model.safetensors and OLMo's config.yaml, or transformers' config.json",
        ),
        ("out", "HDF5 file to write"),
    ):
        added.add_argument(f"--{name}", type=Path, required=True, metavar="PATH", help=text)
    for name, text in (
        ("tokens", "NumPy file of token ids (sequences, positions) to measure on"),
        ("next", "checkpoint that follows: its difference is the update"),
        ("batches", "NumPy file of token ids (batches, sequences, positions) to train on"),
        ("tokenizer", "the model's tokenizer.json, or its folder, for downstream"),
    ):
        added.add_argument(f"--{name}", type=Path, metavar="PATH", help=text)
    tasks = get_args(TaskName)
    added.add_argument("--tasks", nargs="+", choices=tasks, help="what downstream asks (all tasks)")
    added.add_argument("--run", help="run of the configuration, whose optimizer makes the step")
    added.add_argument("--configfile", nargs="+", metavar="FILE", help="settings and runs")
    added.add_argument("--threads", type=_threads, default=1, help="threads on a CPU (1)")


def _threads(written: str) -> int:
    if not written.isdecimal() or not 0 < int(written) <= MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{written} is no number of threads; give 1 or a few")
    return int(written)


def _measure(options: argparse.Namespace) -> str:
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    from zsl.measure.given import check

    try:
        given = check(options)
    except OSError as error:
        raise MeasurementError(f"{error.filename}: cannot be read ({error.strerror})") from None

    from zsl.measure.run import measure  # imports torch, which takes longer than all checks

    return measure(given, options.threads)
