"""Invariants of a study: what has to hold between artifacts for its numbers to mean anything.

Each check reads artifacts that the records are about and says whether it holds; None where there
is nothing to check it on. They hold for whole runs: an experiment that is only partly made is
checked as far as it goes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from zsl.audit.findings import Check
from zsl.audit.records import Record, is_report
from zsl.config.grids import Segment, checkpoint_name
from zsl.config.load import Plan
from zsl.data.manifest import read_manifest
from zsl.data.windows import WindowSet
from zsl.errors import ZslError
from zsl.files import SMALL, read_json, read_limited

TOKENS_CHECKED = 200_000_000
"""Largest corpus whose tokens are searched for those of the evaluation set."""
NEIGHBOURHOOD = 8
"""Steps on either side of a point whose mean losses are compared."""
AROUND = 256
"""Steps before and after the end of a segment among which its jump must not stand out."""
SKEW = timedelta(minutes=5)
"""By how much the clocks of two machines may differ."""
UNREADABLE = (
    *(ZslError, OSError, ValueError, LookupError),
    *(TypeError, AttributeError, ArithmeticError, RecursionError),
)
"""What reading a damaged file may raise."""
Records = Mapping[str, Record]


def check_study(results: Path, records: Records, plan: Plan | None) -> list[Check]:
    """All checks, in the order in which an audit shows them."""
    checks: list[tuple[str, Callable[[], Iterator[str] | None]]] = [
        ("the grid of checkpoints is complete", lambda: _complete(records, plan)),
        ("all checkpoints of a run are different", lambda: _distinct(records)),
        ("checkpoints are of the step that their names say", lambda: _named(results, records)),
        ("losses go on across segments", lambda: _continuous(results, records)),
        ("runs read the same tokens in the same order", lambda: _same_order(records)),
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
        said = tuple(found)
    except NotCheckedError as error:
        return Check(name, None, (str(error),))
    except UNREADABLE as error:
        return Check(name, False, (f"cannot be checked: {type(error).__name__}: {error}",))
    return Check(name, not said, said)


class NotCheckedError(Exception):
    """An invariant cannot be checked here, with the reason."""


def _trained(records: Records) -> dict[str, list[tuple[Segment, Record]]]:
    """The segments of each run that were trained, in order."""
    found: dict[str, list[tuple[Segment, Record]]] = defaultdict(list)
    for record in records.values():
        if record.content["rule"] == "train":
            names = record.content["wildcards"]
            found[names["run"]].append((Segment.parse(names["segment"]), record))
    return {run: sorted(parts, key=lambda part: part[0].start) for run, parts in found.items()}


def _checkpoints(record: Record) -> dict[str, dict[str, str]]:
    """Digests of a segment's checkpoints: by checkpoint, by file."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for entry in record.outputs.values():
        for name, digest in entry.get("files", {}).items():
            checkpoint, _, file = name.partition("/")
            found[checkpoint][file] = digest
    return found


def _complete(records: Records, plan: Plan | None) -> Iterator[str] | None:
    trained = _trained(records)
    return _gaps(trained, plan) if plan and trained else None


def _gaps(trained: dict[str, list[tuple[Segment, Record]]], plan: Plan) -> Iterator[str]:
    for run, parts in trained.items():
        if run not in plan.runs:
            continue
        there = {name for _, record in parts for name in _checkpoints(record)}
        gone = [s for s in plan.layout(run).checkpoints if checkpoint_name(s) not in there]
        if gone:
            yield f"{run} has no checkpoint of steps {', '.join(map(str, gone[:5]))}"


def _distinct(records: Records) -> Iterator[str] | None:
    trained = _trained(records)
    return _twice(trained) if trained else None


def _twice(trained: dict[str, list[tuple[Segment, Record]]]) -> Iterator[str]:
    """Weights that two checkpoints share, but for runs that start alike, at the same step."""
    seen: dict[str, tuple[str, str, Any]] = {}
    for run, parts in trained.items():
        for _, record in parts:
            settings = record.content["params"]["run"]
            start = [settings.get("seed"), settings.get("model")]
            for name, files in _checkpoints(record).items():
                digest = files["model.safetensors"]
                other, step, how = seen.setdefault(digest, (run, name, start))
                if (other, step) != (run, name) and (step != name or other == run or how != start):
                    yield f"{run} {name} has the weights of {other} {step}"


def _named(results: Path, records: Records) -> Iterator[str] | None:
    trained = _trained(records)
    return _misnamed(results, trained) if trained else None


def _misnamed(results: Path, trained: dict[str, list[tuple[Segment, Record]]]) -> Iterator[str]:
    for run, parts in trained.items():
        for segment, record in parts:
            for name in _checkpoints(record):
                path = results / "training" / run / segment.name / name / "state.json"
                if path.is_file():
                    step = read_json(path)["step"]
                    if checkpoint_name(step) != name:
                        yield f"{run} {name} is of step {step}"


def _continuous(results: Path, records: Records) -> Iterator[str] | None:
    trained = _trained(records)
    chains = {run: parts for run, parts in trained.items() if len(parts) > 1}
    if not trained:
        return None
    if not chains:
        raise NotCheckedError("every run is one segment")
    return (said for run, parts in chains.items() for said in _jumps(results, run, parts))


def _jumps(results: Path, run: str, parts: list[tuple[Segment, Record]]) -> Iterator[str]:
    from zsl.study import read_csv  # not at the top: pandas takes half a second

    folder = results / "training" / run
    losses: dict[int, float] = {}
    for segment, _ in parts:
        table = read_csv(folder / f"{segment.name}.steps.csv", ("step", "train_loss"))
        rows = dict(zip(table["step"].tolist(), table["train_loss"].tolist(), strict=True))
        known = len(rows) == segment.end - segment.start
        if not known or sorted(rows) != list(range(segment.start + 1, segment.end + 1)):
            yield f"{run} {segment.name}: its steps are not {segment.start + 1} to {segment.end}"
        losses |= rows
    for (before, _), (after, _) in pairwise(parts):
        if before.end != after.start:
            yield f"{run}: {after.name} does not follow {before.name}"
        elif (jump := _stands_out(losses, before.end)) is not None:
            yield f"{run}: the loss jumps by {jump:.3f} nats at step {before.end}"


def _stands_out(losses: Mapping[int, float], end: int) -> float | None:
    """The jump of the loss after step ``end`` if it is twice any other one nearby."""

    def jump(step: int) -> float | None:
        steps = range(step - NEIGHBOURHOOD + 1, step + NEIGHBOURHOOD + 1)
        if any(s not in losses for s in steps):
            return None
        values = np.array([losses[s] for s in steps])
        return float(abs(values[NEIGHBOURHOOD:].mean() - values[:NEIGHBOURHOOD].mean()))

    here = jump(end)
    near = [s for s in range(end - AROUND, end + AROUND + 1) if abs(s - end) > NEIGHBOURHOOD]
    others = [value for step in near if (value := jump(step)) is not None]
    return here if here is not None and others and here > 2 * max(others) else None


def _same_order(records: Records) -> Iterator[str] | None:
    groups: dict[tuple[Any, ...], dict[str, str]] = defaultdict(dict)
    for run, parts in _trained(records).items():
        for _, record in parts:
            settings, order = record.content["params"]["run"], record.content["facts"]["data_order"]
            key = tuple(settings.get(k) for k in ("corpus", "sequence_length", "sampling"))
            groups[key][run] = order["sha256"]
    if not groups:
        return None
    return (
        f"runs of corpus {key[0]} read {len(set(orders.values()))} orders: {', '.join(orders)}"
        for key, orders in groups.items()
        if len(set(orders.values())) > 1
    )


def _apart(results: Path, records: Records) -> Iterator[str] | None:
    corpora = [record for record in records.values() if record.content["rule"] == "tokens"]
    if not corpora:
        return None
    return (said for record in corpora for said in _shared(results, record))


def _shared(results: Path, record: Record) -> Iterator[str]:
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


def _pinned(records: Records) -> Iterator[str]:
    found: dict[str, list[str]] = defaultdict(list)
    for record in records.values():
        installed = record.content.get("environment", {}).get("packages", {})
        for name, version in (record.content["params"].get("packages") or {}).items():
            there = installed.get(name)
            if there is not None and there.partition("+")[0] != version:
                found[f"{name} {there}, pinned {version}"].append(record.name)
    return (f"{words}: {names[0]} and {len(names) - 1} more" for words, names in found.items())


def _in_time(records: Records) -> Iterator[str]:
    ends = {path: record for record in records.values() for path in record.outputs}
    for record in records.values():
        if is_report(record):
            continue
        for path in {record.inside(entry["path"]) for entry in record.inputs}:
            maker = ends.get(path)
            named = {e.get("record") for e in record.inputs if record.inside(e["path"]) == path}
            if (
                maker
                and maker.sha256 in named
                and _time(maker, "end") > _time(record, "end") + SKEW
            ):
                yield f"{record.name} ended before {path}, which it read, was made"
        if _time(record, "end") < _time(record, "start"):
            yield f"{record.name} ended before it began"


def _time(record: Record, key: str) -> datetime:
    return datetime.fromisoformat(record.content["time"][key])
