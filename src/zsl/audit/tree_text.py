"""Lineage as a tree for people, as a graph for Mermaid, and as JSON for programs."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from zsl.audit.tree import PER_RUN, Lineage, Source, Step
from zsl.lineage.store import Record, settings_of

WIDTH = 100
"""Columns of the tree."""
SHORT = 12
"""Digits of a digest that are shown."""
SETTING_LINES = 2
"""Lines of settings of one step; the rest is left out."""
FIRST = ("steps", "batch_size", "sequence_length", "d_model", "n_layers", "learning_rate", "name")
"""Settings that are shown before others, by the last part of their key."""
MOST = 60
"""Nodes that a graph may have before those alike become one."""


def as_text(lineage: Lineage) -> str:
    """The tree from each target to raw text; a step that was shown is not shown again."""
    seen: set[str] = set()
    lines = [line for key in lineage.targets for line in _tree(key, lineage, seen, "", "")]
    return "\n".join([*lines, "", sentence(lineage)])


def sentence(lineage: Lineage) -> str:
    """How many steps and raw sources there are, and whether the way down is complete."""
    raw = lineage.raw
    said = (
        f"{counted(len(lineage.targets), 'target')}, {counted(len(lineage.steps), 'step')}, "
        f"{counted(len(raw), 'raw source')} ({counted(sum(r.n_files for r in raw), 'file')}).\n"
    )
    if not lineage.gaps:
        return (
            f"{said}Complete: every step is recorded, down to raw sources or configuration alone."
        )
    gaps = "".join(f"\n  {gap}" for gap in lineage.gaps)
    return f"{said}Not complete: the lineage has {counted(len(lineage.gaps), 'gap')}:{gaps}"


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 step``, ``2,000 steps``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _tree(key: str, lineage: Lineage, seen: set[str], first: str, rest: str) -> Iterator[str]:
    """Lines of a step and of all below it; ``first`` and ``rest`` begin its lines."""
    step = lineage.steps[key]
    if key in seen:
        yield f"{first}{step.record.name} (above)"
        return
    seen.add(key)
    below: list[str | Source] = [*step.raw, *_below(step, lineage)]
    bar = rest + ("│  " if below else "   ")
    yield f"{first}{step.record.name} ({step.rule})"
    yield from _fill(_facts(step.record), bar, bar)
    yield from _fill(_settings(step.record), bar, bar, ",", SETTING_LINES)
    yield from (f"{bar}gap: {gap}" for gap in step.gaps)
    for index, item in enumerate(below):
        last = index == len(below) - 1
        branch, under = rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  ")
        if isinstance(item, Source):
            yield from _fill(_raw(item), branch, under)
        else:
            yield from _tree(item, lineage, seen, branch, under)


def _below(step: Step, lineage: Lineage) -> list[str]:
    """What to show below a step: the segments before a segment beside it, not each below the
    next, since there can be many."""

    def continued(of: Step) -> list[str]:
        return [key for key in of.before if _continues(of, lineage.steps[key])]

    found = []
    for key in (key for key in step.before if key not in continued(step)):
        found.append(key)
        while earlier := continued(lineage.steps[found[-1]]):
            found.append(earlier[0])
    return found


def _continues(step: Step, before: Step) -> bool:
    runs = {each.record.section("wildcards").get("run") for each in (step, before)}
    return step.rule == before.rule == "train" and len(runs) == 1


def _facts(record: Record) -> list[str]:
    time, git = record.section("time"), record.section("git")
    parts = [f"{time['start'][:16].replace('T', ' ')} UTC"]
    parts += [_duration(time["seconds"])] if "seconds" in time else []
    parts.append(_device(record))
    parts += [f"{key.rpartition('.')[2]} {seed}" for key, seed in record.section("seeds").items()]
    parts += [f"code {record.section('code')['fingerprint'][:SHORT]}"] if record.modules else []
    dirty = " with changes" if git.get("dirty") else ""
    parts += [f"commit {git['commit'][:8]}{dirty}"] if "commit" in git else []
    for path, entry in [*record.outputs.items()][:1]:
        more = f" (+{len(record.outputs) - 1})" if len(record.outputs) > 1 else ""
        parts.append(f"-> {path.rpartition('/')[2]} {entry['sha256'][:SHORT]}{more}")
    return parts


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _device(record: Record) -> str:
    """The GPU that a job used, or that it ran on the CPU."""
    cuda = record.section("device").get("cuda", {})
    if not record.section("device"):
        return "device not recorded"
    return ", ".join(cuda.get("devices", ["GPU"])) if cuda.get("used") else "CPU"


def _raw(source: Source) -> list[str]:
    parts = [f"raw: {source.origin}"]
    parts += [f"{source.n_files} files"] if source.n_files > 1 else []
    parts += [f"{source.size:,} bytes"] if source.size is not None else []
    return [*parts, source.sha256[:SHORT]]


def _settings(record: Record) -> list[str]:
    """Settings of a job, the telling ones first."""
    found = dict(_flat(settings_of(record.section("params"))))

    def rank(key: str) -> tuple[int, str]:
        leaf = key.rpartition(".")[2]
        return (FIRST.index(leaf) if leaf in FIRST else len(FIRST), key)

    return [f"{_tail(key, found)}={_value(found[key])}" for key in sorted(found, key=rank)]


def _flat(params: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in params.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        elif value not in (None, "", []):
            yield f"{before}{key}", value


def _tail(key: str, keys: Iterable[str]) -> str:
    """The shortest end of a dotted key that is that of no other."""
    parts = key.split(".")
    for start in range(len(parts) - 1, 0, -1):
        tail = ".".join(parts[start:])
        if sum(f".{other}".endswith(f".{tail}") for other in keys) == 1:
            return tail
    return key


def _value(value: Any) -> str:
    """A value; of a list of lists or mappings, how many it holds."""
    text = str(value)
    if not isinstance(value, list):
        return text if len(text) <= 40 else f"{text[:37]}..."
    if any(isinstance(item, list | dict) for item in value):
        return f"{len(value)} items"
    items = ",".join(map(str, value))
    return f"[{items}]" if len(items) <= 24 or len(value) == 1 else f"[{len(value)} values]"


def _fill(
    parts: Sequence[str], first: str, rest: str, mark: str = " ·", most: int | None = None
) -> list[str]:
    """Lines of at most ``WIDTH`` that begin as given; none of the ``parts`` is broken that fits."""
    text = f"{mark.replace(' ', _KEPT)} ".join(part.replace(" ", _KEPT) for part in parts)
    wrapped = textwrap.wrap(
        text,
        max(WIDTH, len(rest) + 20),
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
        max_lines=most,
        placeholder=" ...",
    )
    return [line.replace(_KEPT, " ").removesuffix(mark) for line in wrapped]


_KEPT = "\N{NO-BREAK SPACE}"
"""Stands for a space at which no line may end."""


def as_mermaid(lineage: Lineage) -> str:
    """A flowchart for Mermaid, such as GitHub shows in Markdown, from raw text on the left.

    There is one node for each step and raw source; where these are too many, for each kind.
    """
    whole = len(lineage.steps) + len(lineage.raw) <= MOST
    kinds = {key: step.record.name if whole else _kind(step) for key, step in lineage.steps.items()}
    rules = {kinds[key]: step.rule for key, step in lineage.steps.items()}
    ids = {name: f"s{index}" for index, name in enumerate(rules, 1)}
    raw = {source.origin: f"r{index}" for index, source in enumerate(lineage.raw, 1)}
    edges: dict[tuple[str, str], None] = {}
    for key, step in lineage.steps.items():
        id = ids[kinds[key]]
        before = [*(ids[kinds[each]] for each in step.before), *(raw[r.origin] for r in step.raw)]
        edges |= {(other, id): None for other in before if other != id}
    lines = ["flowchart LR"]
    for name, n in Counter(kinds.values()).items():
        said = rules[name] if n == 1 else counted(n, "step")
        lines.append(f'  {ids[name]}["{_escaped(name)}<br/>{said}"]')
    for source in lineage.raw:
        said = counted(source.n_files, "file")
        lines.append(f'  {raw[source.origin]}[("{_escaped(source.origin)}<br/>{said}")]')
    return "\n".join([*lines, *(f"  {before} --> {after}" for before, after in edges)])


def _kind(step: Step) -> str:
    wildcards = step.record.section("wildcards")
    kept = [wildcards[name] for name in sorted(wildcards) if name not in PER_RUN]
    return " ".join([step.rule, *kept])


def _escaped(line: str) -> str:
    line = line.replace("&", "#amp;").replace('"', "#quot;")
    return line.replace("<", "#lt;").replace(">", "#gt;")


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
    record = step.record
    known = ("rule", "wildcards", "time", "device", "threads", "seeds", "params", "code", "git")
    environment = record.section("environment")
    return {
        "record": record.path,
        **{key: record.content[key] for key in known if key in record.content},
        "python": environment.get("python"),
        "lock_sha256": environment.get("lock_sha256"),
        "outputs": {path: entry["sha256"] for path, entry in record.outputs.items()},
        "inputs": {record.inside(e["path"]): e["sha256"] for e in record.inputs},
        "made_from": list(step.before),
        "raw": [vars(source) for source in step.raw],
        "gaps": list(step.gaps),
    }
