"""The one command that mends what an audit found.

Names of files may be anything, and the command is there to be copied: each is quoted for a shell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from zsl.audit.findings import NOT_MADE, Audit, Finding

MAKE = "snakemake --cores all"
LISTED = 8
"""Files that a command lists; more are named by their rules."""


@dataclass(frozen=True)
class Place:
    """What a command has to know of the results."""

    rules: Mapping[str, str]
    """Rule by path of artifact or record."""
    kept: Mapping[str, str]
    """Digest of the record that was written last, by its path."""
    start: str
    """The folder of the results, as Snakemake names it, with ``/``."""
    folder: str
    """The folder that was audited, with ``/``."""
    options: str = ""
    """What follows every call of Snakemake."""


def command(audit: Audit, place: Place) -> str:
    """The command, empty where nothing can or needs to be mended by one.

    A record that was edited or deleted is brought back from the history: what it is of may have
    taken weeks, and need not be made again.
    """
    rules, start, options = place.rules, place.start, place.options
    steps = [*_packages(audit), *_removed(audit, place.folder), *_brought_back(audit, place)]
    if any(f.path.startswith("lineage/history/") and not f.fine for f in audit.findings):
        return (
            f"rm -r {quote(start.rstrip('/'))} && {MAKE} all{options}  # or bring back a copy of it"
        )
    made = [f for f in audit.findings if f.status in ("altered", "missing", "unknown")]
    again = [f for f in made if f.path in rules and not _is_kept(f, place)]
    if again:
        steps.append(_forced(again, rules, start) + options)
    unmade = any(f.details == (NOT_MADE,) and f not in again for f in made)
    if unmade or any(f.status == "stale" and not f.accepted for f in audit.findings):
        steps.append(f"{MAKE} all{options}")
    return " && ".join(steps)


def _is_kept(finding: Finding, place: Place) -> bool:
    return finding.kind == "source" or (finding.kind == "record" and finding.path in place.kept)


def _brought_back(audit: Audit, place: Place) -> list[str]:
    folder = place.folder
    return [
        f"cp {quote(f'{folder}lineage/history/{place.kept[f.path]}.json')} {quote(folder + f.path)}"
        for f in audit.findings
        if f.kind == "record" and not f.fine and f.path in place.kept
    ]


def _forced(findings: Sequence[Finding], rules: Mapping[str, str], start: str) -> str:
    paths = dict.fromkeys(finding.path for finding in findings)
    if len(paths) <= LISTED:
        return f"{MAKE} --force {' '.join(quote(start + path) for path in paths)}"
    return f"{MAKE} all --forcerun {' '.join(sorted({rules[f.path] for f in findings}))}"


def _removed(audit: Audit, start: str) -> list[str]:
    paths = [f.path for f in audit.findings if f.status == "unrecorded"]
    if not paths:
        return []
    shown = " ".join(quote(start + path) for path in paths[:LISTED])
    return [f"rm {shown}{' ...' if len(paths) > LISTED else ''}"]


def _packages(audit: Audit) -> list[str]:
    """Packages whose files are not those that were read."""
    found = set()
    for finding in audit.findings:
        match = re.match(r"([A-Za-z0-9._-]+) ([^\s:]+): ", finding.path)
        if finding.kind == "source" and finding.status == "altered" and match:
            found.add(f"pip install --force-reinstall --no-deps {match[1]}=={match[2]}")
    return sorted(found)
