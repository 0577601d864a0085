"""Lineage as a tree for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from zsl.audit.tree import Lineage, Raw, Step, settings_of
from zsl.lineage.store import Record

WIDTH = 100
"""Columns of the tree."""
SHORT = 12
"""Digits of a digest that are shown."""
SETTING_LINES = 2
"""Lines of settings of one step, before the rest are counted."""
FIRST = ("steps", "batch_size", "sequence_length", "d_model", "n_layers", "learning_rate", "name")
"""Settings that are shown before others, by the last part of their key."""


def as_text(lineage: Lineage) -> str:
    """The tree from each target to raw text; a step that was shown is not shown again."""
    seen: set[str] = set()
    lines = [line for key in lineage.targets for line in _tree(key, lineage, seen, "", "")]
    return "\n".join([*lines, "", sentence(lineage)])


def sentence(lineage: Lineage) -> str:
    """How many steps and raw sources there are, and whether the way down is complete."""
    raw = lineage.raw
    said = (
        f"{_n(len(lineage.targets), 'target')}, {_n(len(lineage.steps), 'step')}, "
        f"{_n(len(raw), 'raw source')} ({_n(sum(each.n_files for each in raw), 'file')}).\n"
    )
    if not lineage.gaps:
        return (
            f"{said}Complete: every step is recorded, down to raw sources or configuration alone."
        )
    gaps = "".join(f"\n  {gap}" for gap in lineage.gaps)
    return f"{said}Not complete: the lineage has {_n(len(lineage.gaps), 'gap')}:{gaps}"


def _n(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _tree(key: str, lineage: Lineage, seen: set[str], first: str, rest: str) -> Iterator[str]:
    """Lines of a step and of all below it; ``first`` and ``rest`` begin its lines."""
    step = lineage.steps[key]
    if key in seen:
        yield f"{first}{step.record.name} (above)"
        return
    seen.add(key)
    below: list[str | Raw] = [*step.raw, *_below(step, lineage)]
    bar = rest + ("│  " if below else "   ")
    yield from _begun(_head(step), first, bar)
    yield from _begun(_settings(step.record, WIDTH - len(bar)), bar, bar)
    yield from (f"{bar}gap: {gap}" for gap in step.gaps)
    for index, item in enumerate(below):
        last = index == len(below) - 1
        branch, under = rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  ")
        if isinstance(item, Raw):
            yield from _begun(_fill(_raw_parts(item), WIDTH - len(branch)), branch, under)
        else:
            yield from _tree(item, lineage, seen, branch, under)


def _below(step: Step, lineage: Lineage) -> list[str]:
    """What to show below a step: the segments before a segment beside it, not each below the
    next, since there can be many."""
    own = [key for key in step.before if not _continues(step, lineage.steps[key])]
    found = []
    for key in own:
        found.append(key)
        while earlier := [
            before
            for before in lineage.steps[key].before
            if _continues(lineage.steps[key], lineage.steps[before])
        ]:
            key = earlier[0]
            found.append(key)
    return found


def _continues(step: Step, before: Step) -> bool:
    return step.rule == before.rule == "train" and step.run == before.run


def _begun(lines: Sequence[str], first: str, rest: str) -> Iterator[str]:
    for index, line in enumerate(lines):
        yield f"{rest if index else first}{line}"


def _head(step: Step) -> list[str]:
    content = step.record.content
    name = f"{step.record.name} ({step.rule})"
    time = content.get("time", {})
    parts = [f"{time['start'][:16].replace('T', ' ')} UTC"] if "start" in time else []
    parts += [_duration(time["seconds"])] if "seconds" in time else []
    parts += [device_of(step.record)]
    parts += [f"{key.rpartition('.')[2]} {value}" for key, value in _seeds(content).items()]
    parts += [f"code {content['code']['fingerprint'][:SHORT]}"] if content.get("code") else []
    parts += [_commit(content["git"])] if "git" in content else []
    parts += _outputs(step.record)
    return [name, *_fill(parts, WIDTH - 24)]


def _seeds(content: dict[str, Any]) -> dict[str, Any]:
    seeds: dict[str, Any] = content.get("seeds", {})
    return seeds


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def device_of(record: Record) -> str:
    """The GPU that a job used, or that it ran on the CPU."""
    device = record.content.get("device")
    if not device:
        return "device not recorded"
    cuda = device.get("cuda", {})
    return ", ".join(cuda.get("devices", ["GPU"])) if cuda.get("used") else "CPU"


def _commit(git: dict[str, Any]) -> str:
    return f"commit {str(git.get('commit'))[:8]}{' with changes' if git.get('dirty') else ''}"


def _outputs(record: Record) -> list[str]:
    outputs = list(record.outputs.items())
    if not outputs:
        return []
    path, entry = outputs[0]
    more = f" (+{len(outputs) - 1})" if len(outputs) > 1 else ""
    return [f"-> {path.rpartition('/')[2]} {entry['sha256'][:SHORT]}{more}"]


def _raw_parts(raw: Raw) -> list[str]:
    parts = [f"raw: {raw.origin}"]
    parts += [f"{raw.n_files} files"] if raw.n_files > 1 else []
    parts += [f"{raw.size:,} bytes"] if raw.size is not None else []
    return [*parts, raw.sha256[:SHORT]]


def _settings(record: Record, width: int) -> list[str]:
    found = settings_of(record)
    keys = sorted(found, key=_rank)
    parts = [f"{_tail(key, found)}={_value(found[key])}" for key in keys]
    lines = _fill(parts, width, ", ")
    if len(lines) <= SETTING_LINES:
        return lines
    shown = len(parts)
    while len(lines) > SETTING_LINES:
        shown -= 1
        lines = _fill([*parts[:shown], f"{len(parts) - shown} more"], width, ", ")
    return lines


def _rank(key: str) -> tuple[int, str]:
    leaf = key.rpartition(".")[2]
    return (FIRST.index(leaf) if leaf in FIRST else len(FIRST), key)


def _tail(key: str, keys: dict[str, Any]) -> str:
    """The shortest end of a dotted key that is that of no other."""
    parts = key.split(".")
    for start in range(len(parts) - 1, 0, -1):
        tail = ".".join(parts[start:])
        if sum(other == tail or other.endswith(f".{tail}") for other in keys) == 1:
            return tail
    return key


def _value(value: Any) -> str:
    if isinstance(value, list):
        items = ",".join(map(str, value))
        return f"[{items}]" if len(items) <= 24 or len(value) == 1 else f"[{len(value)} values]"
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _fill(parts: Sequence[str], width: int, between: str = " · ") -> list[str]:
    """Parts in lines of at most ``width``; one that is longer is broken, as a path if it can be."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(between) + len(part) <= width:
            lines[-1] += between + part
        else:
            lines += _broken(part, max(width, 20))
    return lines


def _broken(part: str, width: int) -> Iterator[str]:
    while len(part) > width:
        end = max(part.rfind(mark, width // 2, width) for mark in " /") + 1 or width
        yield part[:end].rstrip()
        part = part[end:]
    yield part


def as_json(lineage: Lineage) -> dict[str, Any]:
    """Targets, steps by the digest of their records, and gaps."""
    return {
        "results": str(lineage.records.results),
        "targets": list(lineage.targets),
        "complete": not lineage.gaps,
        "gaps": lineage.gaps,
        "steps": {key: _plain(step) for key, step in lineage.steps.items()},
    }


def _plain(step: Step) -> dict[str, Any]:
    content = step.record.content
    known = ("rule", "wildcards", "time", "device", "threads", "seeds", "params", "code", "git")
    environment = content.get("environment", {})
    return {
        "record": step.record.path,
        **{key: content[key] for key in known if key in content},
        "python": environment.get("python"),
        "lock_sha256": environment.get("lock_sha256"),
        "outputs": {path: entry["sha256"] for path, entry in step.record.outputs.items()},
        "inputs": {step.record.inside(e["path"]): e["sha256"] for e in step.record.inputs},
        "made_from": list(step.before),
        "raw": [vars(raw) for raw in step.raw],
        "gaps": list(step.gaps),
    }
