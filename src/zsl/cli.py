"""The ``zsl`` command: looks at an experiment, runs or audits it, or measures one checkpoint.

Exit code 0: done; 1: an error that the message tells how to mend; 2: wrong use; 130: interrupted;
141: nobody reads on what is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import yaml

from zsl.audit import command as audit
from zsl.audit import questions
from zsl.checkpoints import command as checkpoints
from zsl.config.json_schema import json_schema
from zsl.config.load import Plan, load
from zsl.config.parameters import n_parameters, tokens_per_step
from zsl.crate import command as crate
from zsl.errors import ZslError, printable
from zsl.gpus import GPUS
from zsl.measure import command as measure
from zsl.permissions import said_of
from zsl.planning.estimate import estimate
from zsl.planning.imported import check_imported
from zsl.planning.text import as_text
from zsl.registry import TARGETS, available
from zsl.registry.gallery import gallery
from zsl.registry.inputs import lacking
from zsl.run import add_command as add_run

DEFAULT_CONFIG = "config/config.yaml"
SHIPPED = (
    DEFAULT_CONFIG,
    *(f"config/{n}.yaml" for n in ("desk", "mitigation", "single_gpu", "paper", "published")),
)
CLOSED_PIPE = 128 + 13
"""What a shell calls the end by SIGPIPE: a check that was not read to its end did not pass."""
DEFAULT_GPU = "H100"
DEFAULT_UTILISATION = 0.4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; see ``zsl --help``."""
    options = _parser().parse_args(arguments)
    try:
        with _leaving():
            print(printable(options.command(options).rstrip()), flush=True)
    except ZslError as error:
        print(f"Error: {printable(str(error))}", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(f"Error: {printable(said_of(error))}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # takes what is left over
        return CLOSED_PIPE
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return 0


@contextmanager
def _leaving() -> Iterator[None]:
    """Let signals that end this process unwind it, so that what it began ends with it."""

    def leave(number: int, frame: object) -> None:
        sys.exit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    ending = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in ending:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in ending:
            signal.signal(number, signal.SIG_DFL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="zsl", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("runs", _runs, "list the runs with parameters, steps and tokens"),
        ("plan", _plan, "print what an experiment will cost: jobs, FLOPs, GPU-hours, storage"),
        ("targets", _targets, "list the figures and tables that an experiment can make"),
        ("config", _config, "print the checked configuration with every default filled in"),
        ("schema", _schema, "print the JSON schema of configuration files"),
    ):
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=command)
        if command is not _schema:
            added.add_argument(
                "--configfile",
                nargs="+",
                default=[DEFAULT_CONFIG],
                metavar="FILE",
                help=f"configuration files, later ones merged over earlier ones ({DEFAULT_CONFIG})",
            )
    _add_plan(commands.choices["plan"])
    commands.choices["targets"].add_argument(
        "--gallery",
        action="store_true",
        help="print docs/gallery.md instead, on all targets and shipped experiments",
    )
    add_run(commands)
    measure.add_command(commands)
    checkpoints.add_commands(commands)
    audit.add_commands(commands)
    questions.add_commands(commands)
    crate.add_command(commands)
    return parser


def _add_plan(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--gpu",
        choices=[*GPUS],
        default=DEFAULT_GPU,
        help=f"the GPU that hours are given for ({DEFAULT_GPU})",
    )
    command.add_argument(
        "--utilisation",
        type=_share,
        default=DEFAULT_UTILISATION,
        metavar="SHARE",
        help=f"share of its peak rate that is reached ({DEFAULT_UTILISATION})",
    )
    command.add_argument("--json", action="store_true", help="print JSON instead of tables")


def _runs(options: argparse.Namespace) -> str:
    plan = load(options.configfile)
    lines = [f"{'run':24} {'parameters':>12} {'steps':>9} {'tokens':>16} {'segments':>8}"]
    for id, run in plan.runs.items():
        number = n_parameters(run.model, plan.corpus(id).tokenizer.rows, run.sequence_length)
        tokens = run.steps * tokens_per_step(run)
        parts = len(plan.layout(id).segments)
        lines.append(f"{id:24} {number:12,} {run.steps:9,} {tokens:16,} {parts:8}")
    lines += [
        f"{id:24} imported {source.values}: {source.note}" for id, source in plan.imported.items()
    ]
    return "\n".join(lines)


def _plan(options: argparse.Namespace) -> str:
    from zsl.data.budget import check_files
    from zsl.data.declared import check_texts  # imports the readers of all formats

    plan = load(options.configfile)
    check_files(plan.experiment, Path.cwd())
    check_imported(plan)
    check_texts(plan.experiment, Path.cwd())
    found = estimate(plan, gpu=options.gpu, utilisation=options.utilisation)
    return (
        json.dumps(asdict(found), indent=1, ensure_ascii=False) if options.json else as_text(found)
    )


def _share(written: str) -> float:
    share = float(written)
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{written} is no share; give a number in (0, 1]")
    return share


def _targets(options: argparse.Namespace) -> str:
    if options.gallery:
        return gallery([load([path]) for path in SHIPPED])
    plan = load(options.configfile)
    made = available(plan)
    of_paper = {target.id: "" if target.number is None else target.heading for target in made}
    width = max(len(target.id) for target in TARGETS)
    lines = [f"{t.id:{width}} {of_paper[t.id]:9} {t.title}" for t in made]
    reasons = {t.id: lacking(plan, t) for t in TARGETS}
    missing = [f"{id:{width}} {why}" for id, why in reasons.items() if why]
    return "\n".join([*lines, *(["", "Not made by this experiment:", *missing] if missing else [])])


def _config(options: argparse.Namespace) -> str:
    plan = load(options.configfile)
    return yaml.safe_dump(_resolved(plan), sort_keys=False, allow_unicode=True).rstrip()


def _resolved(plan: Plan) -> dict[str, object]:
    values = plan.experiment.model_dump(mode="json")
    for name, suite in values["suites"].items():
        suite["defaults"] = {}
        suite["runs"] = {
            id.split("-", 1)[1]: run.model_dump(mode="json")
            for id, run in plan.runs.items()
            if id.split("-", 1)[0] == name
        }
        if suite["imported"]:
            suite["imported"]["defaults"] = {}
            suite["imported"]["runs"] = {
                id.split("-", 1)[1]: curve.model_dump(mode="json")
                for id, curve in plan.imported.items()
                if id.split("-", 1)[0] == name
            }
    return values


def _schema(options: argparse.Namespace) -> str:
    return json.dumps(json_schema(), indent=1, ensure_ascii=False)
