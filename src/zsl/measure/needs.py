"""What each measurement needs to be given."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from zsl.errors import MeasurementError

MEASUREMENTS: Mapping[str, tuple[str, ...]] = {
    "token_losses": ("tokens",),
    "delta_loss": ("tokens", "next"),
    "gradient_opposition": ("tokens",),
    "token_gradients": ("tokens",),
    "single_step": ("tokens", "batches"),
    "cross_section": ("tokens",),
    "downstream": ("tokenizer",),
}
"""Files that each measurement needs, besides the checkpoint."""
ALONG_UPDATE = ("token_gradients", "cross_section")
"""They need either ``next`` or ``batches``."""
TAKES: Mapping[str, tuple[str, ...]] = {
    **{name: (*MEASUREMENTS[name], "next", "batches") for name in ALONG_UPDATE},
    "downstream": ("tokenizer", "tasks"),
}
"""What can be given, where that is more than what is needed."""
FORMS = {
    "tokens": "a NumPy file of token ids (sequences, positions)",
    "batches": "a NumPy file (batches, sequences, positions)",
    "next": "the checkpoint that follows",
    "tokenizer": "the model's tokenizers file",
}


def check_options(options: argparse.Namespace, run: object) -> None:
    """Raises MeasurementError where an option is missing, or is not for this measurement.

    ``run`` is the run whose optimizer makes the next step, if one was named.
    """
    name = options.measurement
    needed = MEASUREMENTS[name]
    taken = TAKES.get(name, needed)
    steps = name == "single_step" or (name in ALONG_UPDATE and options.next is None)
    if steps and (run is None or (options.batches is None and name in ALONG_UPDATE)):
        raise MeasurementError(
            f"{name} makes the next optimizer step: name the checkpoint's run with --run and "
            "--configfile, and give --batches"
            + (", or give --next" if name in ALONG_UPDATE else "")
        )
    for option in ("tokens", "next", "batches", "tokenizer", "tasks"):
        value = getattr(options, option)
        if value is None and option in needed:
            raise MeasurementError(f"{name} needs {FORMS[option]}: give --{option}")
        if value is not None and option not in taken:
            raise MeasurementError(
                f"{name} makes no use of --{option}; it is measured with "
                f"{', '.join(f'--{each}' for each in taken)}"
            )
    if options.next is not None and options.batches is not None:
        raise MeasurementError(
            "--next and --batches both say what the update is; leave one of them out"
        )
