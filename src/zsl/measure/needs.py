"""What each measurement needs to be given, and can be."""

from __future__ import annotations

import argparse

from zsl.config.measurements import MEASUREMENTS, Measurement
from zsl.errors import MeasurementError

FORMS = {
    "tokens": "a NumPy file of token ids (sequences, positions)",
    "batches": "a NumPy file (batches, sequences, positions)",
    "next": "the checkpoint that follows",
    "tokenizer": "the model's tokenizers file",
}
OF_READS = {"tokens": ("tokens",), "losses": ("tokens", "next"), "choices": ("tokenizer",)}
"""Files that are needed for what is read, besides the checkpoint."""
OPTIONS = ("tokens", "next", "batches", "tokenizer", "tasks")


def needed(kind: type[Measurement]) -> tuple[str, ...]:
    """Options that a measurement cannot do without; along an update, ``next`` or ``batches`` come
    beside them."""
    return (*OF_READS[kind.reads], *(("batches",) if kind.step == "each" else ()))


def taken(kind: type[Measurement]) -> tuple[str, ...]:
    """Options that a measurement makes use of."""
    along = ("next", "batches") if kind.step == "along" else ()
    return (*needed(kind), *along, *(("tasks",) if kind.reads == "choices" else ()))


def check_options(options: argparse.Namespace, run: object) -> None:
    """Raises MeasurementError where an option is missing, or is not for this measurement.

    ``run`` is the run whose optimizer makes the next step, if one was named.
    """
    name, kind = options.measurement, MEASUREMENTS[options.measurement]
    along = kind.step == "along"
    steps = kind.step == "each" or (along and options.next is None)
    if steps and (run is None or (options.batches is None and along)):
        raise MeasurementError(
            f"{name} makes the next optimizer step: name the checkpoint's run with --run and "
            f"--configfile, and give --batches{', or give --next' if along else ''}"
        )
    for option in OPTIONS:
        value = getattr(options, option)
        if value is None and option in needed(kind):
            raise MeasurementError(f"{name} needs {FORMS[option]}: give --{option}")
        if value is not None and option not in taken(kind):
            raise MeasurementError(
                f"{name} makes no use of --{option}; it is measured with "
                f"{', '.join(f'--{each}' for each in taken(kind))}"
            )
    if options.next is not None and options.batches is not None:
        raise MeasurementError(
            "--next and --batches both say what the update is; leave one of them out"
        )
