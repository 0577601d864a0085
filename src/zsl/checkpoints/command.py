"""The commands ``zsl suite`` and ``zsl export``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from zsl.checkpoints.errors import CheckpointError
from zsl.config.grids import steps_of
from zsl.config.yaml_files import read_values
from zsl.errors import printable


def add_commands(commands: Any) -> None:
    """Add ``suite`` and ``export`` to the subparsers of ``zsl``."""
    _add_suite(commands)
    _add_export(commands)


def _add_suite(commands: Any) -> None:
    added = commands.add_parser(
        "suite",
        help="list the checkpoints of a suite, and what is wrong with them",
        description="List the checkpoints of a repository of the Hugging Face Hub, or of a folder, "
        "with sizes and digests, and name what is wrong with them. Weights are not fetched, unless "
        "--weights asks for it. Exit code 1: something is wrong.",
    )
    added.set_defaults(command=_suite)
    added.add_argument("where", metavar="REPOSITORY", help="owner/name on the Hub, or a folder")
    names = added.add_mutually_exclusive_group()
    names.add_argument(
        "--pattern",
        default="step{step}",
        metavar="NAME",
        help="names of revisions or folders, with {step} for the step, {run} for the run's name "
        "where there are several, and * for what does not matter (step{step})",
    )
    names.add_argument("--map", type=Path, metavar="FILE", help="YAML: the name of each step")
    added.add_argument(
        "--steps",
        nargs="+",
        type=_steps,
        default=[],
        metavar="STEP",
        help="steps that each run should have: 1000, 2^0..2^18, 0..143000:1000",
    )
    added.add_argument(
        "--pins", type=Path, metavar="FILE", help="JSON: commits and digests, as seen at first"
    )
    added.add_argument(
        "--weights",
        action="store_true",
        help="fetch each checkpoint, one at a time, look at its weights and drop it",
    )
    added.add_argument("--json", action="store_true", help="print JSON instead of tables")


def _add_export(commands: Any) -> None:
    added = commands.add_parser(
        "export",
        help="write a checkpoint as a folder of transformers",
        description="Write one of our checkpoints as a folder that transformers loads: a Llama "
        "that computes the same, with the run's tokenizer. What no Llama computes is refused.",
    )
    added.set_defaults(command=_export)
    added.add_argument(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT",
        help="folder with config.yaml and model.safetensors",
    )
    added.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder to write; must not exist"
    )
    added.add_argument(
        "--tokenizer",
        type=Path,
        metavar="FILE",
        help="the model's tokenizer.json, or its folder (that of the run's corpus)",
    )


def _export(options: argparse.Namespace) -> str:
    from zsl.checkpoints.export import export  # imports torch

    return export(options.checkpoint, options.out, options.tokenizer)


def _steps(written: str) -> list[int]:
    try:
        return steps_of(written)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _map(path: Path) -> dict[int, str]:
    try:
        values = read_values(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    plain = isinstance(values, dict) and all(
        type(step) is int and step >= 0 and isinstance(name, str) for step, name in values.items()
    )
    if not plain or not values:
        raise CheckpointError(f"{path}: not a name for each step, such as `1000: step1000`")
    return values


def _suite(options: argparse.Namespace) -> str:
    pattern = options.pattern if options.map is None else _map(options.map)
    expected = [step for steps in options.steps for step in steps]

    from zsl.checkpoints.hub import Repository
    from zsl.checkpoints.members import as_text
    from zsl.checkpoints.suite import folder_suite, hub_suite  # imports torch

    asked = {"expected": expected, "weights": options.weights}
    if (folder := Path(options.where)).is_dir():
        found = folder_suite(folder, pattern, **asked)
    else:
        found = hub_suite(Repository(options.where, options.pins), pattern, **asked)
    plain = json.dumps(found.as_json(), indent=1, ensure_ascii=False)
    text = plain if options.json else as_text(found)
    if found.faults:
        print(printable(text), flush=True)
        raise SystemExit(1)
    return text
