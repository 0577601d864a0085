"""The command ``zsl run``: Snakemake's command line, in the order that Snakemake understands.

Snakemake takes every word after ``--configfile`` for a file, and of several ``--configfile`` the
last; here targets may stand after the files, and files are collected.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NoReturn

from zsl.config.load import read_yaml
from zsl.errors import ConfigError

CONFIG = re.compile(r"--configfiles?(=(?P<file>.*))?")
SAYS_HOW = re.compile(r"--(cores|jobs|profile|executor)(=|$)|-[cje]")
"""Options that say on how many cores, or that it is not here."""
CONFIG_ENDS = (".yaml", ".yml")
"""How a configuration file after the first is told from a target."""
EPILOG = (
    "Files of configuration after the first end in .yaml or .yml; the first word that does not is "
    "a target, and so is what stands before all options. Cores are all unless --cores, --jobs, "
    "--profile or --executor says otherwise. All else is Snakemake's: snakemake --help."
)


def add_command(commands: Any) -> None:
    """Add the command to a parser's."""
    text = "run the workflow: show Snakemake's command line and run it"
    added = commands.add_parser(
        "run",
        help=text,
        description=text,
        epilog=EPILOG,
        usage="zsl run [TARGET ...] [--configfile FILE ...] [TARGET ...] [option of snakemake ...]",
        prefix_chars="\0",  # no option is its own
        add_help=False,
    )
    added.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    added.set_defaults(command=lambda options: _run(options.words, added))


def _run(words: Sequence[str], parser: argparse.ArgumentParser) -> NoReturn:
    """Become Snakemake, whose exit code is the command's."""
    if words and words[0] in ("-h", "--help"):
        parser.print_help()
        raise SystemExit(0)
    arguments = arranged(words)
    print(shlex.join(["snakemake", *arguments]), file=sys.stderr, flush=True)
    os.execv(sys.executable, [sys.executable, "-m", "snakemake", *arguments])


def arranged(words: Sequence[str]) -> list[str]:
    """Arguments of Snakemake that mean what was typed.

    Raises ConfigError where a configuration file is not there, or is none.
    """
    end = words.index("--") if "--" in words else len(words)
    options: list[list[str]] = [[]]
    for word in words[:end]:
        if word.startswith("-"):
            options.append([])
        options[-1].append(word)
    targets, files, rest = [*options[0], *words[end + 1 :]], [], []
    for option, *values in options[1:]:
        if config := CONFIG.fullmatch(option):
            given = [config["file"], *values] if config["file"] else values
            named = [*given[:1], *takewhile(lambda word: word.endswith(CONFIG_ENDS), given[1:])]
            if not named:
                raise ConfigError(f"{option}: no file follows; name one, as config/paper.yaml")
            files += named
            targets += given[len(named) :]
        else:
            rest += [option, *values]
    for file in files:
        read_yaml(file)
    said = any(SAYS_HOW.match(word) for word in rest) or "SNAKEMAKE_PROFILE" in os.environ
    return [
        *([] if said else ["--cores", "all"]),
        *targets,
        *(["--configfile", *files] if files else []),
        *rest,
    ]
