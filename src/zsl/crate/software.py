"""What ran: the rules as tools, the scripts and modules behind them, packages, and steps."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from zsl.crate.graph import Graph, fragment, parameter, slot, to
from zsl.crate.run import Run, version_of
from zsl.lineage.history import CODE, LINEAGE
from zsl.lineage.store import Record

LOCK = "requirements.lock"


def tool(job: Record) -> str:
    """Identifier of the tool that a job ran: its rule, in one version of the code."""
    return fragment("rule", f"{job.rule}@{short_version(job)}")


def short_version(job: Record) -> str:
    """The version of a job's code in few digits; ``unknown`` where it is not recorded."""
    commit, dirty, _ = (version_of(job) or "unknown").partition("-dirty")
    return f"{commit[:12]}{dirty}"


def step(rule: str) -> str:
    """Identifier of the step of the workflow that a rule is."""
    return fragment("step", rule)


def add_tools(graph: Graph, run: Run) -> list[str]:
    """Add the tools with their scripts, modules, packages and parameters, of which those that are
    settings are there; their identifiers."""
    tools: dict[str, list[Record]] = {}
    for job in run.jobs:
        tools.setdefault(tool(job), []).append(job)
    return [_add_tool(graph, run, id, jobs) for id, jobs in tools.items()]


def _add_tool(graph: Graph, run: Run, id: str, jobs: list[Record]) -> str:
    modules = {
        item: _module(graph, run, *item) for job in jobs for item in sorted(job.modules.items())
    }
    ran = [(script, job.modules[script]) for job in jobs if (script := _script(job))]
    packages = {
        _package(graph, name, version)
        for job in jobs
        for name, pin in job.section("params").get("packages", {}).items()
        if (version := job.section("environment").get("packages", {}).get(name, pin))
    }
    settings = [parameter(job.rule, name) for job in jobs for name in sorted(job.section("params"))]
    return graph.describe(
        id,
        "SoftwareApplication",
        name=f"rule {jobs[0].rule}",
        softwareVersion=version_of(jobs[0]),
        softwareRequirements=to([*sorted(modules.values()), *sorted(packages)]),
        # A tree with changes may have had several versions of the script.
        mainEntity=to(modules[ran[-1]]) if ran else None,
        input=to([*_slots(jobs, "input"), *(id for id in settings if id in graph)]),
        output=to(_slots(jobs, "output")),
    )


def _script(job: Record) -> str | None:
    script: str | None = job.section("code").get("script")
    return script if script in job.modules else None


def _slots(jobs: Iterable[Record], direction: str) -> list[str]:
    entries = ((job.rule, entry) for job in jobs for entry in job.content[f"{direction}s"])
    return [slot(rule, direction, entry.get("name")) for rule, entry in entries]


def _module(graph: Graph, run: Run, name: str, digest: str) -> str:
    """A module by the digest that records give it; with its source, where that was kept."""
    known: dict[str, Any] = {"name": name, "version": digest}
    suffix = Path(name).suffix if "/" in name else ".py"
    path = f"{run.results}/{LINEAGE}/{CODE}/{digest}{suffix}"
    if not (run.root / path).is_file() or (run.root / path).is_symlink():
        return graph.describe(fragment("code", name, digest), "SoftwareSourceCode", **known)
    if quote(path) not in graph:
        graph.pack(path, **known)
        graph.get(quote(path)).properties()["@type"] = ["File", "SoftwareSourceCode"]
    return quote(path)


def add_steps(graph: Graph, run: Run) -> list[str]:
    """Add a step for each rule, in an order in which they can run; their identifiers."""
    rules = _ordered(run)
    for position, rule in enumerate(rules, 1):
        jobs = [job for job in run.jobs if job.rule == rule]
        locks = [job.section("environment").get("lock_sha256") for job in jobs]
        graph.describe(
            step(rule),
            "HowToStep",
            name=rule,
            position=str(position),
            workExample=to(tool(job) for job in jobs),
            buildInstructions=to(_lock(graph, digest) for digest in locks if digest),
        )
    return [step(rule) for rule in rules]


def _ordered(run: Run) -> list[str]:
    """Rules after those that they read from; by name where they go in circles."""
    makers = {entry["path"]: job.rule for job in run.jobs for entry in job.content["outputs"]}
    before: dict[str, set[str]] = {rule: set() for rule in sorted({job.rule for job in run.jobs})}
    for job in run.jobs:
        read = {makers.get(entry["path"], job.rule) for entry in job.inputs}
        before[job.rule] |= read - {job.rule}
    try:
        return [*TopologicalSorter({rule: sorted(before[rule]) for rule in before}).static_order()]
    except CycleError:
        return list(before)


def _lock(graph: Graph, digest: str) -> str:
    """The pins that a job ran with: those of the crate, or others of which only this is known."""
    carried = graph.get(LOCK)
    if carried is not None and carried["sha256"] == digest:
        return LOCK
    known = {"name": LOCK, "sha256": digest, "encodingFormat": "text/plain"}
    words = "Not in this crate, only named."
    return graph.describe(fragment(f"{LOCK}@{digest[:12]}"), "File", **known, description=words)


def _package(graph: Graph, name: str, version: str) -> str:
    """A Python package, named by its package URL."""
    id = f"pkg:pypi/{quote(name)}@{quote(version, safe='')}"
    return graph.describe(id, "SoftwareApplication", name=name, softwareVersion=version)


def add_engine(graph: Graph, run: Run) -> str:
    """Add the workflow engine; its version, where all jobs had the same."""
    name = "snakemake"
    installed = (job.section("environment").get("packages", {}) for job in run.jobs)
    versions = {packages.get(name) for packages in installed}
    version = versions.pop() if len(versions) == 1 else None
    if version:
        return _package(graph, name, version)
    return graph.describe(fragment(name), "SoftwareApplication", name=name)
