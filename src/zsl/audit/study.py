"""Invariants of a study: what has to hold between artifacts for its numbers to mean anything.

Each check reads artifacts that the records are about and gives what speaks against it. They hold
for whole runs: an experiment that is only partly made is checked as far as it goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np

from zsl.audit import training
from zsl.audit.findings import Check
from zsl.audit.training import NotCheckedError, Scope, Unchecked, of_rule, some
from zsl.config.load import Plan
from zsl.data.manifest import read_manifest
from zsl.data.windows import WindowSet
from zsl.errors import ZslError
from zsl.files import read_json, sha256
from zsl.lineage.store import Record
from zsl.permissions import ClosedError, said_of

TOKENS_CHECKED = 200_000_000
"""Largest corpus whose tokens are searched for those of the evaluation set."""
SKEW = timedelta(minutes=5)
"""By how much the clocks of two machines may differ."""
UNREADABLE = (
    *(ZslError, OSError, ValueError, LookupError),
    *(TypeError, AttributeError, ArithmeticError, RecursionError),
)
"""What reading a damaged file may raise."""


def check_study(
    results: Path, scope: Scope, plan: Plan | None, closed: tuple[str, ...] = ()
) -> list[Check]:
    """All checks on the records in ``scope``, in the order in which an audit shows them.

    Where records that may speak for one are ``closed`` to this user, nothing speaks against it.
    """
    checks: dict[str, Iterator[str]] = {
        "the grid of checkpoints is complete": training.gaps(scope, plan),
        "all checkpoints of a run are different": training.twice(scope),
        "checkpoints are of the step that their names say": training.misnamed(results, scope),
        "losses go on across segments": training.jumps(results, scope),
        "runs read the same tokens in the same order": training.orders(scope),
        "evaluation tokens are not among the training tokens": _among(results, scope),
        "figures and tables show the T and runs that they record": _unlike_fits(results, scope),
        "the packages installed were those pinned": _unlike_pins(scope),
        "nothing was read before it was made": _too_early(scope),
    }
    return [_check(name, found, closed) for name, found in checks.items()]


def _check(name: str, found: Iterator[str], closed: tuple[str, ...]) -> Check:
    """Whether nothing is found that speaks against it; files that are damaged are said."""
    try:
        said = tuple(sorted(found, key=lambda words: isinstance(words, Unchecked)))
    except (NotCheckedError, ClosedError) as error:
        return Check(name, None, (str(error),))
    except PermissionError as error:
        return Check(name, None, (said_of(error),))
    except UNREADABLE as error:
        said = (f"cannot be checked: {type(error).__name__}: {error}",)
    if not said:
        return Check(name, True)
    if closed and not isinstance(said[0], Unchecked):
        return Check(name, None, ("some records are not readable by you", *said))
    return Check(name, None if isinstance(said[0], Unchecked) else False, said)


def _among(results: Path, scope: Scope) -> Iterator[str]:
    for record in of_rule(scope, "tokens"):
        yield from _shared(results, record)


def _shared(results: Path, record: Record) -> Iterator[str]:
    """Windows of evaluation tokens in the files of training tokens.

    Each file alone: training cuts every file into sequences of its own and leaves the remainder
    out (``zsl.data.tokens.TokenFiles``), at random offsets, too, so that it reads no window that
    begins in one file and ends in the next.
    """
    corpus = record.content["wildcards"]["corpus"]
    folder = results / "data" / corpus
    manifest = read_manifest(folder / "manifest.json")
    if max(manifest.train_tokens, manifest.eval_tokens) > TOKENS_CHECKED:
        raise NotCheckedError(
            f"{manifest.train_tokens:,} training tokens are too many to search in an audit; the "
            "code that made them leaves out what the evaluation tokens hold"
        )
    window = record.content["params"]["corpus"]["evaluation"]["window"]
    dtype = np.dtype(manifest.dtype).newbyteorder("<")
    files = folder / "tokens"
    evaluation = [np.fromfile(files / f.name, dtype, f.tokens) for f in manifest.eval]
    wanted = WindowSet(np.concatenate(evaluation), window)
    for file in dict.fromkeys(manifest.train):
        found = wanted.starts_in(np.fromfile(files / file.name, dtype, file.tokens))
        if len(found):
            yield (
                f"{corpus}: {len(found)} windows of {window} evaluation tokens are in "
                f"{file.name}, the first at token {found[0]}"
            )


def _unlike_fits(results: Path, scope: Scope) -> Iterator[str]:
    """What figures and tables record of the fits that they show, against the fits they read."""
    for record in of_rule(scope, "figure", "table"):
        yield from _unlike_fits_of(results, record)


def _unlike_fits_of(results: Path, record: Record) -> Iterator[str]:
    away = [entry["path"] for entry in record.inputs if not entry["path"].startswith(record.start)]
    if away:
        yield f"{record.name} reads what is not of this experiment: {', '.join(away[:3])}"
    shown = record.section("facts").get("shown")
    for entry in record.inputs:
        path = results / record.inside(entry["path"])
        if not path.is_relative_to(results / "fits") or not path.is_file():
            continue
        if shown is None:
            yield Unchecked(f"{record.name} does not record which T and runs it shows")
            return
        if sha256(path) == entry["sha256"]:  # of others the artifact is stale, or they are altered
            fit = read_json(path)
            said, read = shown.get(fit["run"]), {"T": fit["T"], "imported": fit["imported"]}
            if said != read:
                yield f"{record.name} records {said} of {fit['run']}, and read {read}"


def _unlike_pins(scope: Scope) -> Iterator[str]:
    """Packages of other versions than the pins, and those whose version is not recorded."""
    found: dict[str, list[str]] = defaultdict(list)
    for record in some([r for r in scope.values() if r.section("params").get("packages")]):
        installed = record.section("environment").get("packages", {})
        for name, version in record.section("params")["packages"].items():
            there = installed.get(name)
            words = f"{name} {there}, pinned {version}"
            if there is None:
                words = Unchecked(f"{name}, pinned {version}, is not among the packages recorded")
            if there is None or there.partition("+")[0] != version:
                found[words].append(record.name)
    for words, names in found.items():
        yield type(words)(f"{words}: {names[0]} and {len(names) - 1} more")


def _too_early(scope: Scope) -> Iterator[str]:
    """Jobs that began, or ended, before what they read was made; or before they began.

    A job notes its start when it runs and finds the records of its inputs, which their jobs write
    after their end: also those of one group, which run one after the other.
    """
    makers = {record.sha256: record for record in scope.values()}
    for record in scope.values():
        start, end = record.time("start"), record.time("end")
        for entry in record.inputs if not record.is_report else ():
            maker = makers.get(entry.get("record", ""))
            if maker and maker.time("end") > min(start, end) + SKEW:
                did = "ended" if maker.time("end") > end + SKEW else "began"
                path = record.inside(entry["path"])
                yield f"{record.name} {did} before {path}, which it read, was made"
        if end < start and not record.is_report:
            yield f"{record.name} ended before it began"
