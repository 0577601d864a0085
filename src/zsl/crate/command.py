"""The command ``zsl crate``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from zsl.config.load import Plan, load
from zsl.registry import available

DEFAULT_CONFIG = "config/config.yaml"
HEAVY = ("checkpoints", "measurements", "tokens")
"""Kinds of artifacts whose bytes stay out of a crate unless they are asked for."""


def add_command(commands: Any) -> None:
    """Add ``crate`` to the subparsers of ``zsl``."""
    added = commands.add_parser(
        "crate",
        help="write the results of an experiment to one zip, a Workflow Run RO-Crate",
        description="Write what jobs made, their records and the workflow to one zip, a Workflow "
        "Run RO-Crate. Of checkpoints, token files and measurements it has sizes and SHA-256 "
        "alone, unless their bytes are asked for.",
    )
    added.set_defaults(command=crate)
    added.add_argument("out", type=Path, metavar="OUT.zip", help="file to write; a zip is replaced")
    added.add_argument(
        "--configfile",
        nargs="+",
        default=[DEFAULT_CONFIG],
        metavar="FILE",
        help=f"configuration files of the experiment ({DEFAULT_CONFIG})",
    )
    for kind in HEAVY:
        added.add_argument(f"--{kind}", action="store_true", help=f"also the bytes of {kind}")


def crate(options: argparse.Namespace) -> str:
    """Write the crate; says what it wrote.

    Raises :class:`zsl.crate.errors.CrateError` where results are missing or were changed, or
    where there is no place for the crate.
    """
    from zsl.crate.run import read_run  # imports rocrate
    from zsl.crate.settings import contradiction
    from zsl.crate.write import check_place, write_crate

    check_place(options.out)
    plan = load(options.configfile)
    results = f"results/{plan.experiment.experiment}"
    run = read_run(
        results,
        configfiles=[Path(path) for path in options.configfile],
        expected=expected_jobs(plan),
        carry=[kind for kind in HEAVY if getattr(options, kind)],
    )
    against = contradiction(run)
    write_crate(options.out, replace(run, contradiction=against))
    size = options.out.stat().st_size / 1e6
    note = f"{against} The crate says so.\n" if against else ""
    return f"{note}{options.out}: {size:,.1f} MB; unzip it and open ro-crate-preview.html"


def expected_jobs(plan: Plan) -> list[str]:
    """Names of the jobs of all figures and tables that an experiment can make."""
    return [f"{target.kind}s/{target.id}" for target in available(plan)]
