"""Invariants of a study that are of its training: checkpoints, losses and the order of the data.

Each gives what speaks against it, and raises NotCheckedError where there is nothing to check it on.
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
Scope = Mapping[str, Record]


class NotCheckedError(Exception):
    """An invariant cannot be checked here, with the reason."""


class Unchecked(str):
    """What an invariant could not be checked on: not found against it, and it does not hold."""


def of_rule(scope: Scope, *rules: str) -> list[Record]:
    """The records of jobs of some rules; raises NotCheckedError where there are none."""
    return some([record for record in scope.values() if record.rule in rules])


def some(records: list[Record]) -> list[Record]:
    """The records; raises NotCheckedError where there are none."""
    if not records:
        raise NotCheckedError("there is nothing to check it on")
    return records


def _trained(scope: Scope, *rules: str) -> dict[str, list[tuple[Segment, Record]]]:
    """The segments of each run that jobs of ``rules`` made, in order."""
    found: dict[str, list[tuple[Segment, Record]]] = defaultdict(list)
    for record in of_rule(scope, *rules):
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


def gaps(scope: Scope, plan: Plan | None) -> Iterator[str]:
    """Steps of the plan without a checkpoint."""
    for run, parts in _trained(scope, "train", "fetch").items():
        if plan is None:
            raise NotCheckedError("there is nothing to check it on")
        there = {name for _, record in parts for name in _checkpoints(record)}
        steps = plan.layout(run).checkpoints if run in plan.runs else []
        if gone := [str(step) for step in steps if checkpoint_name(step) not in there]:
            yield f"{run} has no checkpoint of steps {', '.join(gone[:5])}"


def twice(scope: Scope) -> Iterator[str]:
    """Weights that two checkpoints share, but those of one step of runs that are alike up to it."""
    seen: dict[str, tuple[str, str, list[Any]]] = {}
    for run, parts in _trained(scope, "train", "fetch").items():
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
    Of an intervention its name and dose: one that changes nothing is told.

    Not counted is what may change nothing: which steps are kept, micro-batches and compilation
    (they change rounding at most), clipping, which may never happen, and which weights decay.
    """
    run = record.content["params"].get("run")
    if run is None:  # trained elsewhere
        return [record.content["wildcards"]["run"]]
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
    intervention = run.get("intervention") or {}
    dose = [intervention.get("name"), intervention.get("gamma")]
    return [*start, tokens, order, *settings, *formats, optimizer, *dose, *_rate(run, step)]


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


def misnamed(results: Path, scope: Scope) -> Iterator[str]:
    """Checkpoints whose state is of another step than their name."""
    for run, parts in _trained(scope, "train").items():
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


def jumps(results: Path, scope: Scope) -> Iterator[str]:
    """Segments that do not go on where the one before ended, or whose losses are not finite."""
    chains = {run: parts for run, parts in _trained(scope, "train").items() if len(parts) > 1}
    if not chains:
        raise NotCheckedError("every run is one segment")
    for run, parts in chains.items():
        segments = [segment for segment, _ in parts]
        losses: dict[int, float] = {}
        for segment in segments:
            rows = _losses(results / "training" / run / f"{segment.name}.steps.csv")
            if sorted(rows) != list(range(segment.start + 1, segment.end + 1)):
                steps = f"{segment.start + 1} to {segment.end}"
                yield f"{run} {segment.name}: its steps are not {steps}"
            losses |= {step: loss for step, loss in rows.items() if np.isfinite(loss)}
            if wrong := [step for step in rows if step not in losses]:
                yield f"{run} {segment.name}: the loss is not finite at step {wrong[0]}"
        for before, after in pairwise(segments):
            near = _jumps_near(losses, before.end)
            here = near.pop(before.end, None)
            if before.end != after.start:
                yield f"{run}: {after.name} does not follow {before.name}"
            elif here is None or not near:
                yield Unchecked(f"{run}: too few losses around step {before.end} to tell a jump")
            elif here > 2 * max(near.values()):
                yield f"{run}: the loss jumps by {here:.3f} nats at step {before.end}"


def _losses(path: Path) -> dict[int, float]:
    """Loss by step of a segment."""
    from zsl.study import read_csv  # not at the top: pandas takes half a second

    table = read_csv(path, ("step", "train_loss"))
    return dict(zip(table["step"].tolist(), table["train_loss"].tolist(), strict=True))


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


def orders(scope: Scope) -> Iterator[str]:
    """Corpora that runs alike in length and sampling read in different orders."""
    groups: dict[tuple[Any, ...], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for run, parts in _trained(scope, "train").items():
        for _, record in parts:
            settings, order = record.content["params"]["run"], record.content["facts"]["data_order"]
            key = tuple(settings.get(k) for k in ("corpus", "sequence_length", "sampling"))
            groups[key][order["sha256"]].append(run)
    for key, found in groups.items():
        if len(found) > 1:
            runs = dict.fromkeys(run for runs in found.values() for run in runs)
            yield f"runs of corpus {key[0]} read {len(found)} orders: {', '.join(runs)}"
