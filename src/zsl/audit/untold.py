"""What Snakemake would run again, or has forgotten, although it is fine with all it rests on.

Snakemake tells by times, and by what it remembers in ``.snakemake``: a copy may have lost both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zsl.audit.chain import Chain
from zsl.audit.findings import Finding
from zsl.audit.judge import Judge
from zsl.lineage.store import closure


def untold(judge: Judge, chain: Chain, found: Iterable[Finding], *, whole: bool) -> dict[str, Any]:
    """Fields of an audit (``zsl.audit.findings``) that say so; ``whole``: it is of everything."""
    planned, start = judge.planned, f"results/{judge.records.experiment}/"
    here = judge.records.results.resolve() == (judge.project / start).resolve()
    if planned is None or not here:
        return {}
    wrong = {finding.path for finding in found if not finding.fine}
    bad = {path for path, r in chain.authentic.items() if wrong & {path, *r.outputs}}
    known = {start + path: path for path in chain.authentic}
    asked = sorted(known.keys() & (planned.pending | planned.forgotten))
    records = {
        path: chain.authentic[known[path]] for path in asked if not bad & _rests(known[path], chain)
    }
    again = [record for path, record in records.items() if path in planned.pending]
    read = {record.inside(e["path"]) for record in records.values() for e in record.inputs}
    last = [r for r in records.values() if not read & {r.path, *r.outputs}]
    targets = tuple(start + min(record.outputs) for record in last)
    return {
        "again": len(again),
        "trained_again": sum(record.content["rule"] == "train" for record in again),
        "untold": ("all",) if targets and whole and not wrong else targets,
    }


def _rests(path: str, chain: Chain) -> set[str]:
    """The records of a job and of all that it rests on; the report's page reads records."""
    read = [chain.authentic[path].inside(e["path"]) for e in chain.authentic[path].inputs]
    return closure([path, *read], chain.authentic)
