"""The one command that mends what an audit found."""

from __future__ import annotations

import re
from collections.abc import Sequence

from zsl.audit.findings import NOT_MADE, Audit, Finding

MAKE = "snakemake --cores all"
LISTED = 8
"""Files that a command lists; more are named by their rules."""


def command(audit: Audit, rules: dict[str, str], start: str, options: str = "") -> str:
    """The command, empty where nothing can or needs to be mended by one.

    ``rules`` gives the rule of an artifact or record, ``start`` is the folder of the results as
    Snakemake names it, ``options`` follow every call of Snakemake.
    """
    steps = [*_packages(audit), *_removed(audit, start)]
    if any(f.path.startswith("lineage/history/") and not f.fine for f in audit.findings):
        return f"rm -r {start.rstrip('/')} && {MAKE} all{options}  # or bring back a copy of it"
    made = [f for f in audit.findings if f.status in ("altered", "missing", "unknown")]
    again = [f for f in made if f.kind != "source" and f.path in rules]
    if again:
        steps.append(_forced(again, rules, start) + options)
    unmade = any(f.details == (NOT_MADE,) for f in made)
    if unmade or any(f.status == "stale" and not f.accepted for f in audit.findings):
        steps.append(f"{MAKE} all{options}")
    return " && ".join(steps)


def _forced(findings: Sequence[Finding], rules: dict[str, str], start: str) -> str:
    paths = dict.fromkeys(finding.path for finding in findings)
    if len(paths) <= LISTED:
        return f"{MAKE} --force {' '.join(start + path for path in paths)}"
    return f"{MAKE} all --forcerun {' '.join(sorted({rules[f.path] for f in findings}))}"


def _removed(audit: Audit, start: str) -> list[str]:
    paths = [f.path for f in audit.findings if f.status == "unrecorded"]
    if not paths:
        return []
    shown = " ".join(start + path for path in paths[:LISTED])
    return [f"rm {shown}{' ...' if len(paths) > LISTED else ''}"]


def _packages(audit: Audit) -> list[str]:
    """Packages whose files are not those that were read."""
    found = set()
    for finding in audit.findings:
        match = re.match(r"([A-Za-z0-9._-]+) ([^\s:]+): ", finding.path)
        if finding.kind == "source" and finding.status == "altered" and match:
            found.add(f"pip install --force-reinstall --no-deps {match[1]}=={match[2]}")
    return sorted(found)
