"""Lineage as a graph for Mermaid or Graphviz, from raw text on the left to the targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from zsl.audit.tree import PER_RUN, Lineage, Step

MOST = 60
"""Nodes that a graph may have before those alike become one."""
SHOWN = ("figure", "table")
"""Wildcards of what is shown, which are alike where a graph shows many."""


@dataclass(frozen=True)
class Graph:
    """Labels of nodes, each a tuple of lines, and edges between them."""

    steps: dict[str, tuple[str, ...]]
    raw: dict[str, tuple[str, ...]]
    edges: tuple[tuple[str, str], ...]


def as_mermaid(lineage: Lineage) -> str:
    """A flowchart for Mermaid, such as GitHub shows in Markdown."""
    graph = graph_of(lineage)
    lines = ["flowchart LR"]
    lines += [f'  {id}["{_mermaid(label)}"]' for id, label in graph.steps.items()]
    lines += [f'  {id}[("{_mermaid(label)}")]' for id, label in graph.raw.items()]
    lines += [f"  {before} --> {after}" for before, after in graph.edges]
    return "\n".join(lines)


def as_dot(lineage: Lineage) -> str:
    """A digraph for Graphviz."""
    graph = graph_of(lineage)
    lines = ["digraph lineage {", "  rankdir=LR", "  node [shape=box]"]
    lines += [f'  {id} [label="{_dot(label)}"]' for id, label in graph.steps.items()]
    lines += [f'  {id} [label="{_dot(label)}" shape=cylinder]' for id, label in graph.raw.items()]
    lines += [f"  {before} -> {after}" for before, after in graph.edges]
    return "\n".join([*lines, "}"])


def _mermaid(label: tuple[str, ...]) -> str:
    escaped = (line.replace("&", "#amp;").replace('"', "#quot;") for line in label)
    return "<br/>".join(line.replace("<", "#lt;").replace(">", "#gt;") for line in escaped)


def _dot(label: tuple[str, ...]) -> str:
    return "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in label)


def graph_of(lineage: Lineage) -> Graph:
    """One node per step and raw source; where these are too many, one per kind of step."""
    for kind in (_own, _of_all_runs):
        graph = _grouped(lineage, kind)
        if len(graph.steps) + len(graph.raw) <= MOST:
            return graph
    return _grouped(lineage, lambda step: _without(step, (*PER_RUN, *SHOWN)))


def _own(step: Step) -> str:
    return step.record.path


def _of_all_runs(step: Step) -> str:
    return _without(step, PER_RUN)


def _without(step: Step, names: tuple[str, ...]) -> str:
    wildcards = step.record.content.get("wildcards", {})
    kept = [str(value) for name, value in sorted(wildcards.items()) if name not in names]
    return " ".join([step.rule, *kept])


def _grouped(lineage: Lineage, kind: Callable[[Step], str]) -> Graph:
    members: dict[str, list[Step]] = {}
    for step in lineage.steps.values():
        members.setdefault(kind(step), []).append(step)
    ids = {name: f"s{index}" for index, name in enumerate(members, 1)}
    of = {key: ids[kind(step)] for key, step in lineage.steps.items()}
    edges = {
        (of[before], of[key]): None
        for key, step in lineage.steps.items()
        for before in step.before
        if of[before] != of[key]
    }
    raw: dict[str, tuple[str, ...]] = {}
    known: dict[tuple[str, ...], str] = {}
    for key, step in lineage.steps.items():
        for label in _raw_labels(step, together=kind is not _own):
            id = known.setdefault(label, f"r{len(known) + 1}")
            raw[id] = label
            edges[id, of[key]] = None
    labels = {ids[name]: _label(name, steps) for name, steps in members.items()}
    return Graph(labels, raw, tuple(edges))


def _label(name: str, steps: list[Step]) -> tuple[str, ...]:
    if len(steps) > 1:
        return (name, f"{len(steps)} steps")
    (step,) = steps
    seconds = step.record.content.get("time", {}).get("seconds")
    return (step.record.name, step.rule + (f", {seconds:.1f} s" if seconds is not None else ""))


def _raw_labels(step: Step, *, together: bool) -> list[tuple[str, ...]]:
    if together and len(step.raw) > 1:
        n_files = sum(raw.n_files for raw in step.raw)
        return [(f"raw sources of {step.record.name}", f"{len(step.raw)}, {n_files} files")]
    return [
        (raw.origin, f"{raw.n_files} files" if raw.n_files > 1 else raw.sha256[:12])
        for raw in step.raw
    ]
