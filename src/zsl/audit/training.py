"""Invariants of a study that are of its training: checkpoints, losses and the order of the data.

Each gives what speaks against it, or None where there is nothing to check it on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from zsl.config.grids import Segment, checkpoint_name
from zsl.config.load import Plan
from zsl.config.schema import CONSTANT, EXTENSIBLE
from zsl.files import read_json
from zsl.lineage.store import Record

NEIGHBOURHOOD = 8
"""Steps on either side of a point whose mean losses are compared."""
AROUND = 256
"""Steps before and after the end of a segment among which its jump must not stand out."""
MAY_BE_IDLE = ("clip", "decay_embeddings", "decay_matrices")
"""Settings of an optimizer that may change nothing."""
Records = Mapping[str, Record]


class NotCheckedError(Exception):
    """An invariant cannot be checked here, with the reason."""


class Unchecked(str):
    """What an invariant could not be checked on: not found against it, and it does not hold."""


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


def complete(records: Records, plan: Plan | None) -> Iterator[str] | None:
    """Steps of the plan without a checkpoint."""
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


def distinct(records: Records) -> Iterator[str] | None:
    """Checkpoints with the weights of others."""
    trained = _trained(records)
    return _twice(trained) if trained else None


def _twice(trained: dict[str, list[tuple[Segment, Record]]]) -> Iterator[str]:
    """Weights that two checkpoints share, but those of one step of runs that are alike up to it."""
    seen: dict[str, tuple[str, str, list[Any]]] = {}
    for run, parts in trained.items():
        for _, record in parts:
            for name, files in _checkpoints(record).items():
                so_far = _matters(record, int(name.removeprefix("step")))
                digest = files["model.safetensors"]
                other, step, how = seen.setdefault(digest, (run, name, so_far))
                if (other, step) != (run, name) and (step != name or other == run or how != so_far):
                    yield f"{run} {name} has the weights of {other} {step}"


def _matters(record: Record, step: int) -> list[Any]:
    """What must be equal where two runs have the same weights at ``step``.

    Step 0 is of seed and model alone. After it count the tokens and their order (two corpora may
    hold the same), number formats, what is minimised, and the rate: its warm-up from the first
    update on; how it decays once a hundredth of the decay is over, so that a constant rate, a
    decaying one and a longer run share the warm-up, and what rounding may hide after it. From
    the second update on also the optimizer's settings; the first one of C-AdamW may be AdamW's.

    Not counted is what may change nothing: which steps are kept, micro-batches and compilation
    (they change rounding at most), clipping, which may never happen, and which weights decay.
    """
    run = record.content["params"]["run"]
    start = [run.get("seed"), run.get("model")]
    if step == 0:
        return start
    read = [item for entry in record.inputs for item in entry.get("files", {}).items()]
    tokens = sorted(digest for name, digest in read if name.startswith("train-"))
    order = record.content["facts"]["data_order"]["sha256"]
    settings = [run.get(key) for key in ("sequence_length", "batch_size", "loss")]
    formats = [run.get("precision", {}).get(key) for key in ("compute", "weights")]
    optimizer = {k: v for k, v in run.get("optimizer", {}).items() if k not in MAY_BE_IDLE}
    if step == 1:
        name = optimizer.get("name", "").removeprefix("c_")
        optimizer = {"name": name, "learning_rate": optimizer.get("learning_rate")}
    return [*start, tokens, order, *settings, *formats, optimizer, *_rate(run, step)]


def _rate(run: Mapping[str, Any], step: int) -> list[Any]:
    """What the learning rate up to ``step`` is made from; see ``_matters``."""
    schedule, steps = run.get("schedule", {}), run.get("steps", 0)
    name, warm_up = schedule.get("name", CONSTANT[0]), schedule.get("warmup_steps", 0)
    warming = [warm_up, schedule.get("warmup_start")] if warm_up > 1 else []
    towards_end = name not in EXTENSIBLE
    decaying_from = warm_up + (steps - warm_up) / 100 if towards_end else warm_up
    if name in CONSTANT or step <= decaying_from:
        return warming
    if name == "max_scheduler":
        name = "cosine_with_warmup"  # which it is at first
    return [*warming, name, *([steps, schedule.get("final_fraction")] if towards_end else [])]


def named(results: Path, records: Records) -> Iterator[str] | None:
    """Checkpoints whose state is of another step than their name."""
    trained = _trained(records)
    return _misnamed(results, trained) if trained else None


def _misnamed(results: Path, trained: dict[str, list[tuple[Segment, Record]]]) -> Iterator[str]:
    for run, parts in trained.items():
        gone: list[str] = []
        for segment, record in parts:
            for name in _checkpoints(record):
                path = results / "training" / run / segment.name / name / "state.json"
                if not path.is_file():
                    gone.append(name)
                elif checkpoint_name(step := read_json(path)["step"]) != name:
                    yield f"{run} {name} is of step {step}"
        if gone:
            yield Unchecked(f"{run} {gone[0]} and {len(gone) - 1} more have no state.json")


def continuous(results: Path, records: Records) -> Iterator[str] | None:
    """Segments that do not go on where the one before ended, or whose losses are not finite."""
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
        losses |= {step: loss for step, loss in rows.items() if np.isfinite(loss)}
        if wrong := [step for step in rows if step not in losses]:
            yield f"{run} {segment.name}: the loss is not finite at step {wrong[0]}"
    for (before, _), (after, _) in pairwise(parts):
        jumps = _jumps_near(losses, before.end)
        here = jumps.pop(before.end, None)
        if before.end != after.start:
            yield f"{run}: {after.name} does not follow {before.name}"
        elif here is None or not jumps:
            yield Unchecked(f"{run}: too few losses around step {before.end} to tell a jump")
        elif here > 2 * max(jumps.values()):
            yield f"{run}: the loss jumps by {here:.3f} nats at step {before.end}"


def _jumps_near(losses: Mapping[int, float], end: int) -> dict[int, float]:
    """The jump of the mean loss after step ``end``, and after the others nearby, by step."""

    def jump(step: int) -> float | None:
        steps = range(step - NEIGHBOURHOOD + 1, step + NEIGHBOURHOOD + 1)
        if any(s not in losses for s in steps):
            return None
        values = np.array([losses[s] for s in steps])
        return float(abs(values[NEIGHBOURHOOD:].mean() - values[:NEIGHBOURHOOD].mean()))

    near = range(end - AROUND, end + AROUND + 1)
    steps = [s for s in near if s == end or abs(s - end) > NEIGHBOURHOOD]
    return {step: value for step in steps if (value := jump(step)) is not None}


def same_order(records: Records) -> Iterator[str] | None:
    """Corpora that runs alike in length and sampling read in different orders."""
    groups: dict[tuple[Any, ...], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for run, parts in _trained(records).items():
        for _, record in parts:
            settings, order = record.content["params"]["run"], record.content["facts"]["data_order"]
            key = tuple(settings.get(k) for k in ("corpus", "sequence_length", "sampling"))
            groups[key][order["sha256"]].append(run)
    if not groups:
        return None
    return (
        f"runs of corpus {key[0]} read {len(orders)} orders: "
        + ", ".join(dict.fromkeys(run for runs in orders.values() for run in runs))
        for key, orders in groups.items()
        if len(orders) > 1
    )
