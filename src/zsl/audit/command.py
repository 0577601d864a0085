"""The commands ``zsl audit``, ``zsl root``, ``zsl accept`` and ``zsl reproduce``."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from zsl.audit import accepted, mend, roots, say
from zsl.audit.errors import AuditError
from zsl.audit.findings import Audit
from zsl.audit.reproduce import reproduce
from zsl.audit.run import Question, audit, folder_of
from zsl.errors import ZslError, printable
from zsl.files import write_text
from zsl.lineage.history import LINEAGE
from zsl.lineage.root import listing, record_digests, root_of
from zsl.lineage.values import LONGEST
from zsl.permissions import ClosedError

DEFAULT_CONFIG = "config/config.yaml"
EPILOG = (
    "Exit code 0: every artifact is verified, imported with its pinned digest, or stale with an "
    "acceptance on record; 1: anything else; 2: the audit could not be made."
)


def add_place(command: argparse.ArgumentParser) -> None:
    """Add the options that say which experiment is meant, and where its results are."""
    command.add_argument(
        "--configfile",
        nargs="+",
        type=_file,
        default=[DEFAULT_CONFIG],
        metavar="FILE",
        help=f"configuration files, later ones merged over earlier ones ({DEFAULT_CONFIG})",
    )
    command.add_argument(
        "--results",
        type=Path,
        metavar="FOLDER",
        help="folder of the results, such as a copy (results/<experiment> of the configuration)",
    )


def _file(written: str) -> str:
    """A file as it was typed, for a parser: what is named is there; the default need not be."""
    if not Path(written).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {written!r}")
    return written


def target(written: str) -> str:
    """A target as it was typed, for a parser: refused is what no file can be called."""
    longest = max(len(part.encode(errors="replace")) for part in written.split("/"))
    if not written or "\0" in written or longest > 255 or len(written) > LONGEST:
        raise argparse.ArgumentTypeError(
            f"{written!r:.60} names nothing; name a figure or table (fig05) or a file"
        )
    return written


def question_of(options: argparse.Namespace, **more: Any) -> Question:
    """What is asked, of the experiment that the options name."""
    configfiles = tuple(Path(path) for path in options.configfile)
    return Question(Path.cwd(), configfiles, options.results, **more)


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's."""
    text = "hash everything again and hold it against records, code, settings and raw sources"
    added = commands.add_parser("audit", help=text, description=text, epilog=EPILOG)
    added.set_defaults(command=_audit)
    more = "figures, tables or files; all"
    added.add_argument("targets", nargs="*", type=target, metavar="TARGET", help=more)
    add_place(added)
    for name, said in (
        ("--strict", "accept nothing but what is verified"),
        ("--fast", "read only files that look changed"),
        ("--json", "print JSON"),
    ):
        added.add_argument(name, action="store_true", help=said)
    more = "a root digest kept elsewhere, or a file of `zsl root --out`"
    added.add_argument("--root", metavar="HEX|FILE", help=more)
    for name, said in (
        (
            "--signature",
            "signature of the --root FILE, which --signers or --public-key has to be of",
        ),
        ("--signers", "allowed signers, as ssh-keygen reads them"),
        ("--public-key", "a minisign public key"),
    ):
        added.add_argument(name, type=Path, metavar="FILE", help=said)

    text = "print the root digest of all records, to be kept elsewhere; optionally sign it"
    added = commands.add_parser("root", help=text, description=text)
    added.set_defaults(command=_root)
    add_place(added)
    more = "write the digests of all records to a file"
    added.add_argument("--out", type=Path, metavar="FILE", help=more)
    more = "sign the file with ssh-keygen (an SSH key) or minisign (its secret key)"
    added.add_argument("--sign", type=Path, metavar="KEY", help=more)

    text = "record for ever that the staleness of a target is accepted, and why"
    added = commands.add_parser("accept", help=text, description=text)
    added.set_defaults(command=_accept)
    more = "a figure, table, rule or file"
    added.add_argument("target", type=target, metavar="TARGET", help=more)
    added.add_argument("--reason", required=True, help="why it may stay as it is")
    add_place(added)

    text = "make targets once more from their recorded inputs, elsewhere, and compare the bytes"
    added = commands.add_parser("reproduce", help=text, description=text)
    added.set_defaults(command=_reproduce)
    more = "figures, tables, runs or files"
    added.add_argument("targets", nargs="+", type=target, metavar="TARGET", help=more)
    add_place(added)


def _audit(options: argparse.Namespace) -> str:
    """Print an audit and leave with its exit code."""
    try:
        held = None if options.root is None else roots.read_held(options.root)
        held = roots.verified(held, options)
        targets = tuple(options.targets)
        found = audit(question_of(options, targets=targets, held=held, fast=options.fast))
        command = _command(found, options)
    except (ClosedError, PermissionError):
        raise  # its exit code is 1
    except (ZslError, OSError) as error:
        print(f"Error: {printable(str(error))}", file=sys.stderr)
        raise SystemExit(2) from error
    if options.json:
        plain = say.as_json(found, command, strict=options.strict)
        print(printable(json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False)))
    else:
        print(printable(say.as_text(found, command, strict=options.strict)))
    sys.stdout.flush()
    raise SystemExit(0 if found.passed(options.strict) else 1)


def _command(found: Audit, options: argparse.Namespace) -> str:
    """The command that mends what was found."""
    own = options.configfile != [DEFAULT_CONFIG]
    files = f" --configfile {shlex.join(options.configfile)}" if own else ""
    return mend.command(found, mend.place_of(found, Path.cwd(), options.results, files))


def _root(options: argparse.Namespace) -> str:
    question = question_of(options)
    digests = record_digests(folder_of(question, question.plan) / LINEAGE)
    if not digests:
        raise AuditError("there are no records yet; run the workflow first: `make all`")
    if options.sign and not options.out:
        raise AuditError("--sign needs --out FILE: the file of digests is what is signed")
    if options.sign:
        roots.require_key(options.sign)
    said = [root_of(digests)]
    if options.out:
        try:
            write_text(options.out, listing(digests))
        except OSError as error:
            named = f"--out {options.out}: {error.strerror}"
            raise AuditError(f"{named}; name a file to be written") from error
    if options.sign:
        said.append(f"signed: {roots.sign(options.out, options.sign)}")
    return "\n".join(said)


def _accept(options: argparse.Namespace) -> str:
    question = question_of(options, targets=(options.target,))
    path, n = accepted.accept(question, options.target, options.reason)
    return f"{path}: {n} stale records accepted"


def _reproduce(options: argparse.Namespace) -> str:
    """Print what came out, target by target, and leave with 1 where it is not the same."""
    same = True
    for made in reproduce(question_of(options, targets=tuple(options.targets))):
        print(printable(str(made)), flush=True)
        same &= made.same
    if not same:
        raise SystemExit(1)
    return "Reproduced: all bytes are those recorded."
