"""The commands ``zsl audit``, ``zsl root``, ``zsl accept`` and ``zsl reproduce``."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from zsl.audit import accepted, held, mend, say, signing
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


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's."""
    _add_audit(commands)
    _add_root(commands)
    _add_accept(commands)
    _add_reproduce(commands)


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


def _add_audit(commands: Any) -> None:
    text = "hash everything again and hold it against records, code, settings and raw sources"
    added = commands.add_parser("audit", help=text, description=text, epilog=EPILOG)
    added.set_defaults(command=_audit)
    added.add_argument(
        "targets", nargs="*", type=target, metavar="TARGET", help="figures, tables or files; all"
    )
    add_place(added)
    added.add_argument("--strict", action="store_true", help="accept nothing but what is verified")
    added.add_argument("--fast", action="store_true", help="read only files that look changed")
    added.add_argument("--json", action="store_true", help="print JSON")
    added.add_argument(
        "--root",
        metavar="HEX|FILE",
        help="a root digest kept elsewhere, or a file of `zsl root --out`",
    )
    added.add_argument(
        "--signature",
        type=Path,
        metavar="FILE",
        help="signature of the --root FILE, which --signers or --public-key has to be of",
    )
    _add_keys(added)


def _add_keys(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--signers", type=Path, metavar="FILE", help="allowed signers, as ssh-keygen reads them"
    )
    command.add_argument("--public-key", type=Path, metavar="FILE", help="a minisign public key")


def _audit(options: argparse.Namespace) -> str:
    """Print an audit and leave with its exit code."""
    try:
        kept = None if options.root is None else held.read_held(options.root)
        kept = signing.verified(kept, options)
        question = question_of(
            options, targets=tuple(options.targets), held=kept, fast=options.fast
        )
        found = audit(question)
        command = _command(found, question, options)
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


def _command(found: Audit, question: Question, options: argparse.Namespace) -> str:
    """The command that mends what was found."""
    own = options.configfile != [DEFAULT_CONFIG]
    files = f" --configfile {shlex.join(options.configfile)}" if own else ""
    return mend.command(found, mend.place_of(found, question.project, question.results, files))


def _add_root(commands: Any) -> None:
    text = "print the root digest of all records, to be kept elsewhere; optionally sign it"
    added = commands.add_parser("root", help=text, description=text)
    added.set_defaults(command=_root)
    add_place(added)
    added.add_argument(
        "--out", type=Path, metavar="FILE", help="write the digests of all records to a file"
    )
    added.add_argument(
        "--sign",
        type=Path,
        metavar="KEY",
        help="sign the file with ssh-keygen (an SSH key) or minisign (its secret key)",
    )


def _root(options: argparse.Namespace) -> str:
    question = question_of(options)
    digests = record_digests(folder_of(question, question.plan) / LINEAGE)
    if not digests:
        raise AuditError("there are no records yet; run the workflow first: `make all`")
    if options.sign and not options.out:
        raise AuditError("--sign needs --out FILE: the file of digests is what is signed")
    if options.sign:
        signing.require_key(options.sign)
    said = [root_of(digests)]
    if options.out:
        _write(options.out, listing(digests))
    if options.sign:
        said.append(f"signed: {signing.sign(options.out, options.sign)}")
    return "\n".join(said)


def _write(path: Path, text: str) -> None:
    """Write a file that was named; raises AuditError where there can be none."""
    try:
        write_text(path, text)
    except OSError as error:
        raise AuditError(f"--out {path}: {error.strerror}; name a file to be written") from error


def _add_accept(commands: Any) -> None:
    text = "record for ever that the staleness of a target is accepted, and why"
    added = commands.add_parser("accept", help=text, description=text)
    added.set_defaults(command=_accept)
    added.add_argument(
        "target", type=target, metavar="TARGET", help="a figure, table, rule or file"
    )
    added.add_argument("--reason", required=True, help="why it may stay as it is")
    add_place(added)


def _accept(options: argparse.Namespace) -> str:
    question = question_of(options, targets=(options.target,))
    path, n = accepted.accept(question, options.target, options.reason)
    return f"{path}: {n} stale records accepted"


def _add_reproduce(commands: Any) -> None:
    text = "make targets once more from their recorded inputs, elsewhere, and compare the bytes"
    added = commands.add_parser("reproduce", help=text, description=text)
    added.set_defaults(command=_reproduce)
    added.add_argument(
        "targets", nargs="+", type=target, metavar="TARGET", help="figures, tables, runs or files"
    )
    add_place(added)


def _reproduce(options: argparse.Namespace) -> str:
    """Print what came out, target by target, and leave with 1 where it is not the same."""
    same = True
    for made in reproduce(question_of(options, targets=tuple(options.targets))):
        print(printable(str(made)), flush=True)
        same &= made.same
    if not same:
        raise SystemExit(1)
    return "Reproduced: all bytes are those recorded."
