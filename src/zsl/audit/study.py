"""Invariants of a study: what has to hold between artifacts for its numbers to mean anything.

Each check reads artifacts that the records are about and says whether it holds; None where there
is nothing to check it on. They hold for whole runs: an experiment that is only partly made is
checked as far as it goes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from zsl.audit import training
from zsl.audit.findings import Check
from zsl.audit.records import Record, is_report
from zsl.audit.training import NotCheckedError, Records, Unchecked
from zsl.config.load import Plan
from zsl.data.manifest import read_manifest
from zsl.data.windows import WindowSet
from zsl.errors import ZslError
from zsl.files import SMALL, read_json, read_limited

TOKENS_CHECKED = 200_000_000
"""Largest corpus whose tokens are searched for those of the evaluation set."""
SKEW = timedelta(minutes=5)
"""By how much the clocks of two machines may differ."""
UNREADABLE = (
    *(ZslError, OSError, ValueError, LookupError),
    *(TypeError, AttributeError, ArithmeticError, RecursionError),
)
"""What reading a damaged file may raise."""


def check_study(results: Path, records: Records, plan: Plan | None) -> list[Check]:
    """All checks, in the order in which an audit shows them."""
    checks: list[tuple[str, Callable[[], Iterator[str] | None]]] = [
        ("the grid of checkpoints is complete", lambda: training.complete(records, plan)),
        ("all checkpoints of a run are different", lambda: training.distinct(records)),
        (
            "checkpoints are of the step that their names say",
            lambda: training.named(results, records),
        ),
        ("losses go on across segments", lambda: training.continuous(results, records)),
        ("runs read the same tokens in the same order", lambda: training.same_order(records)),
        ("evaluation tokens are not among the training tokens", lambda: _apart(results, records)),
        ("no figure or table mixes T or experiments unsaid", lambda: _unmixed(results, records)),
        ("the packages installed were those pinned", lambda: _pinned(records)),
        ("nothing was read before it was made", lambda: _in_time(records)),
    ]
    return [_check(name, found) for name, found in checks]


def _check(name: str, find: Callable[[], Iterator[str] | None]) -> Check:
    """Whether nothing is found that speaks against it; files that are damaged are said."""
    try:
        found = find()
        if found is None:
            return Check(name, None, ("there is nothing to check it on",))
        said = tuple(sorted(found, key=lambda words: isinstance(words, Unchecked)))
    except NotCheckedError as error:
        return Check(name, None, (str(error),))
    except UNREADABLE as error:
        return Check(name, False, (f"cannot be checked: {type(error).__name__}: {error}",))
    if not said:
        return Check(name, True)
    return Check(name, None if isinstance(said[0], Unchecked) else False, said)


def _apart(results: Path, records: Records) -> Iterator[str] | None:
    corpora = [record for record in records.values() if record.content["rule"] == "tokens"]
    if not corpora:
        return None
    return (said for record in corpora for said in _shared(results, record))


def _shared(results: Path, record: Record) -> Iterator[str]:
    """Windows of evaluation tokens in the files of training tokens.

    Each file alone: training cuts every file into sequences of its own and leaves the remainder
    out (``zsl.data.tokens.TokenFiles``), at random offsets, too, so that it reads no window that
    begins in one file and ends in the next.
    """
    folder = results / "data" / record.content["wildcards"]["corpus"]
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
                f"{record.content['wildcards']['corpus']}: {len(found)} windows of {window} "
                f"evaluation tokens are in {file.name}, the first at token {found[0]}"
            )


def _unmixed(results: Path, records: Records) -> Iterator[str] | None:
    shown = [r for r in records.values() if r.content["rule"] in ("figure", "table")]
    return (said for record in shown for said in _mixed(results, record)) if shown else None


def _mixed(results: Path, record: Record) -> Iterator[str]:
    inside = [record.inside(entry["path"]) for entry in record.inputs]
    fits = [results / path for path in inside if path.startswith("fits/")]
    found = [read_json(path) for path in fits if path.is_file()]
    said = _words_of(results, record)
    runs = {run["id"] for run in record.content["params"]["study"]["runs"]}
    lengths = {fit["T"] for fit in found if fit["run"] in runs}
    unsaid = [T for T in lengths if not re.search(rf"\b({T:,}|{T})\b", said)]
    if len(lengths) > 1 and unsaid and not re.search(r"\bT\b|steps", said):
        yield f"{record.name} mixes T = {', '.join(map(str, sorted(lengths)))} and does not say so"
    away = [entry["path"] for entry in record.inputs if not entry["path"].startswith(record.start)]
    if away:
        yield f"{record.name} reads what is not of this experiment: {', '.join(away[:3])}"
    kinds = {bool(fit.get("imported")) for fit in found if fit["run"] in runs}
    if len(kinds) > 1 and not re.search(r"imported|published|authors", said):
        yield f"{record.name} shows imported runs beside others and does not say so"


def _words_of(results: Path, record: Record) -> str:
    """What is written on or under a figure or table."""
    paths = [results / name for name in record.outputs if Path(name).suffix in (".md", ".csv")]
    texts = (read_limited(path, SMALL).decode() for path in paths if path.is_file())
    return "\n".join([str(record.content["params"].get("caption", "")), *texts])


def _pinned(records: Records) -> Iterator[str] | None:
    pinned = [record for record in records.values() if record.content["params"].get("packages")]
    return _unlike_pins(pinned) if pinned else None


def _unlike_pins(records: list[Record]) -> Iterator[str]:
    """Packages of other versions than the pins, and those whose version is not recorded."""
    found: dict[str, list[str]] = defaultdict(list)
    for record in records:
        installed = record.content.get("environment", {}).get("packages", {})
        for name, version in record.content["params"]["packages"].items():
            there = installed.get(name)
            words = f"{name} {there}, pinned {version}"
            if there is None:
                words = Unchecked(f"{name}, pinned {version}, is not among the packages recorded")
            if there is None or there.partition("+")[0] != version:
                found[words].append(record.name)
    for words, names in found.items():
        yield type(words)(f"{words}: {names[0]} and {len(names) - 1} more")


def _in_time(records: Records) -> Iterator[str]:
    """Jobs that began, or ended, before what they read was made; or before they began.

    A job notes its start when it runs and finds the records of its inputs, which their jobs write
    after their end: also those of one group, which run one after the other.
    """
    ends = {path: record for record in records.values() for path in record.outputs}
    for record in records.values():
        if is_report(record):
            continue
        start, end = _time(record, "start"), _time(record, "end")
        for path in {record.inside(entry["path"]) for entry in record.inputs}:
            maker = ends.get(path)
            named = {e.get("record") for e in record.inputs if record.inside(e["path"]) == path}
            if maker and maker.sha256 in named and _time(maker, "end") > min(start, end) + SKEW:
                did = "ended" if _time(maker, "end") > end + SKEW else "began"
                yield f"{record.name} {did} before {path}, which it read, was made"
        if end < start:
            yield f"{record.name} ended before it began"


def _time(record: Record, key: str) -> datetime:
    return datetime.fromisoformat(record.content["time"][key])
