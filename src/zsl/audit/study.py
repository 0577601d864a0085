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
from typing import Any

import numpy as np

from zsl.audit import training
from zsl.audit.findings import Check
from zsl.audit.training import NotCheckedError, Records, Unchecked
from zsl.config.load import Plan
from zsl.data.manifest import read_manifest
from zsl.data.windows import WindowSet
from zsl.errors import ZslError
from zsl.files import SMALL, read_json, read_limited
from zsl.lineage.store import Record
from zsl.permissions import ClosedError, said_of

TOKENS_CHECKED = 200_000_000
"""Largest corpus whose tokens are searched for those of the evaluation set."""
SKEW = timedelta(minutes=5)
"""By how much the clocks of two machines may differ."""
SAYS_T = re.compile(
    r"\bmix T\b|\bcomparable only at the same T\b|\bat different T are not comparable\b"
    r"|\bthe end T of the curve\b"
)
"""How captions and notes say that T differs."""
SAYS_IMPORTED = "imported, not trained here"
"""How they say what a star marks."""
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
    except ClosedError as error:
        return Check(name, None, (str(error),))
    except PermissionError as error:
        return Check(name, None, (said_of(error),))
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
    paths = [results / path for path in inside if path.startswith("fits/")]
    runs = {run["id"] for run in record.content["params"]["study"]["runs"]}
    read = [read_json(path) for path in paths if path.is_file()]
    fits = [fit for fit in read if fit["run"] in runs]
    ends: dict[str, int] = {}
    if _differ(fits, "T") or _differ(fits, "imported"):
        shown, ends = _drawn(results, record)
        fits = [fit for fit in fits if shown is None or fit["run"] in shown]
    said = _words_of(results, record)
    lengths = sorted({fit["T"] for fit in fits})
    to_the_end = all(ends.get(fit["run"]) == fit["T"] for fit in fits)
    if len(lengths) > 1 and not to_the_end and not _says_T(said, lengths):
        yield f"{record.name} mixes T = {', '.join(map(str, lengths))} and does not say so"
    away = [entry["path"] for entry in record.inputs if not entry["path"].startswith(record.start)]
    if away:
        yield f"{record.name} reads what is not of this experiment: {', '.join(away[:3])}"
    if _differ(fits, "imported") and SAYS_IMPORTED not in said:
        yield f"{record.name} shows imported runs beside others and does not say so"


def _differ(fits: list[dict[str, Any]], key: str) -> bool:
    return len({fit.get(key) or False for fit in fits}) > 1


def _drawn(results: Path, record: Record) -> tuple[set[str] | None, dict[str, int]]:
    """The runs in the values of a figure or table, None where they do not tell; and the last step
    of those whose fit is drawn, as a curve that ends there.

    Of imported runs, figures of what only runs made here have read the fits and draw nothing.
    """
    from zsl.study import read_csv  # not at the top: pandas takes half a second

    paths = [results / name for name in record.outputs if name.endswith(".csv")]
    if not paths or not paths[0].is_file():
        return None, {}
    table = read_csv(paths[0])
    if "run" not in table:
        return None, {}
    ends: dict[str, int] = {}
    if {"part", "step"} <= set(table):
        last = table[table["part"] == "fit"].groupby("run")["step"].max()
        ends = {str(run): int(step) for run, step in last.items()}
    return set(table["run"].dropna()), ends


def _says_T(text: str, lengths: list[int]) -> bool:
    """Whether a reader learns of several T: by a sentence on them, one with each of them as steps,
    or a column of the table."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row] for row in rows]
    if cells and "T" in cells[0]:
        at = cells[0].index("T")
        if set(map(str, lengths)) <= {row[at] for row in cells if len(row) > at}:
            return True
    words = "\n".join(line for line in text.splitlines() if not line.startswith("|"))
    numbers = [rf"(?<![\d.,])({T:,}|{T})(?![.,]?\d)" for T in lengths]
    return bool(SAYS_T.search(words)) or any(
        re.search(r"\b(steps?|T)\b", sentence) and all(re.search(n, sentence) for n in numbers)
        for sentence in re.split(r"(?<=[.:;])\s", words)
    )


def _words_of(results: Path, record: Record) -> str:
    """What is written on or under a figure or table, and a table's cells."""
    paths = [results / name for name in record.outputs if name.endswith(".md")]
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
        if record.is_report:
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
