"""What happened: an action for each job, the engine's control of them, and the whole run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zsl.crate.graph import Graph, fragment, kind_of, media_type_of, parameter, slot, to
from zsl.crate.run import Artifact, Run, action, raw_id, stage
from zsl.crate.settings import configured
from zsl.crate.software import add_engine, step, tool
from zsl.crate.workflow import CONFIGURATION, SNAKEFILE
from zsl.lineage.store import Record

COMPLETED = "http://schema.org/CompletedActionStatus"
SHOWN = ("figures", "tables", "compare")
"""Stages whose outputs are the workflow's."""
UNITS = {"peak_memory": "BYTE", "time": "SEC"}
"""Units of QUDT by the first part of a quantity's name; others have none."""


def add_job(graph: Graph, run: Run, job: Record) -> None:
    """Add the action of a job with what it read, wrote, was set to and used, and its record."""
    read = [_add_file(graph, run, job, "input", entry) for entry in job.inputs]
    written = [_add_file(graph, run, job, "output", entry) for entry in job.content["outputs"]]
    wildcards = ", ".join(f"{key}={value}" for key, value in job.section("wildcards").items())
    threads = job.section("threads")
    graph.describe(
        action(job),
        "CreateAction",
        name=job.name,
        description=f"Rule {job.rule}{f' with {wildcards}' if wildcards else ''}; its record is "
        f"{run.record(job)}.",
        instrument=to(tool(job)),
        object=to([*read, *_add_raw(graph, run, job), *_add_settings(graph, job)]),
        result=to(written),
        startTime=_utc(job, "start"),
        endTime=_utc(job, "end"),
        actionStatus=COMPLETED,  # a job that fails leaves no record
        resourceUsage=to(_add_usage(graph, job)),
        environment=to(
            id
            for name, value in sorted(threads.items())
            if name.isupper() and (id := graph.value(name, value, "environment"))
        ),
    )
    graph.pack(run.record(job), about=to(action(job)))


def add_connections(graph: Graph, run: Run) -> None:
    """Say which outputs of rules are inputs of others."""
    makers = {entry["path"]: (j.rule, entry) for j in run.jobs for entry in j.content["outputs"]}
    for job in run.jobs:
        for entry in job.inputs:
            if entry["path"] in makers:
                rule, output = makers[entry["path"]]
                source = slot(rule, "output", output.get("name"))
                graph.connect(source, slot(job.rule, "input", entry.get("name")), step(job.rule))


def add_run(graph: Graph, run: Run, configuration: list[str]) -> list[str]:
    """Add the run of the workflow, from configuration and raw text to figures and tables, and
    what the engine did for it; their identifiers.

    ``configuration`` are the files that the run was given.
    """
    workflow = graph.get(SNAKEFILE)
    read, written = [*configuration], []
    inputs, outputs = ([CONFIGURATION] if configuration else []), []
    for job in run.jobs:
        for entry in job.inputs:
            if run.artifact(entry).origin == "given":
                read.append(run.artifact(entry).id)
                inputs.append(_add_given(graph, job, entry, read[-1]))
        read += _add_raw(graph, run, job)
        for entry in job.content["outputs"] if stage(job) in SHOWN else ():
            written.append(run.artifact(entry).id)
            outputs.append(_add_shown(graph, job, entry, written[-1]))
        for name in configured(job.section("params")) if configuration else ():
            if parameter(job.rule, name) in graph:
                graph.connect(CONFIGURATION, parameter(job.rule, name), step(job.rule))
    workflow["input"], workflow["output"] = to(inputs), to(outputs)
    said = (
        f"All jobs of {run.results}, from the start of the first to the end of the last; there may "
        "be pauses between them."
    )
    whole = graph.describe(
        "#run",
        "CreateAction",
        name=f"Run of {run.results}",
        description=" ".join([said, *run.said]),
        instrument=to(SNAKEFILE),
        object=to(read),
        result=to(written),
        startTime=min(_utc(job, "start") for job in run.jobs),
        endTime=max(_utc(job, "end") for job in run.jobs),
        # What is not made may have failed, or never have been asked for: no record tells.
        actionStatus=None if run.missing else COMPLETED,
    )
    organized = graph.describe(
        "#engine",
        "OrganizeAction",
        name=f"Snakemake's work on {run.results}",
        instrument=to(add_engine(graph, run)),
        object=to(_add_control(graph, run, rule) for rule in sorted({j.rule for j in run.jobs})),
        result=to(whole),
    )
    return [whole, organized]


def _add_control(graph: Graph, run: Run, rule: str) -> str:
    """What the engine did for the jobs of a rule."""
    return graph.describe(
        fragment("control", rule),
        "ControlAction",
        name=f"Jobs of rule {rule}",
        instrument=to(step(rule)),
        object=to(action(job) for job in run.jobs if job.rule == rule),
        actionStatus=COMPLETED,
    )


def _add_given(graph: Graph, job: Record, entry: Mapping[str, Any], id: str) -> str:
    """The input of the workflow that a job's input is, since no job made it."""
    target = slot(job.rule, "input", entry.get("name"))
    name = f"{job.rule}.{entry.get('name', 'input')}"
    given = fragment("workflow", "input", name)
    graph.realize(given, name, "Dataset" if entry["kind"] == "folder" else "File", id)
    graph.connect(given, target, step(job.rule))
    return given


def _add_shown(graph: Graph, job: Record, entry: Mapping[str, Any], id: str) -> str:
    """The output of the workflow that an output of a job is."""
    shown = fragment("workflow", "output", stage(job))
    graph.realize(shown, stage(job), "File", id)
    graph.connect(slot(job.rule, "output", entry.get("name")), shown, SNAKEFILE)
    return shown


def _add_file(graph: Graph, run: Run, job: Record, direction: str, entry: Mapping[str, Any]) -> str:
    """What a job read or wrote: with its bytes where they are carried, or else by name, size and
    SHA-256."""
    artifact = run.artifact(entry)
    type = "Dataset" if artifact.folder else "File"
    known = {"name": artifact.path, "sha256": artifact.entry["sha256"]}
    known["contentSize"] = str(artifact.entry["size"])
    if artifact.id not in graph:
        if artifact.carried and artifact.folder:
            graph.pack_folder(artifact.path, artifact.files, **known)
        elif artifact.carried:
            graph.pack(artifact.path, **known)
        else:
            why = _why_left(run, job, artifact, entry.get("record"))
            known["encodingFormat"] = media_type_of(artifact.path) or ""
            graph.describe(artifact.id, type, description=why, **known)
    name = entry.get("name")
    graph.realize(slot(job.rule, direction, name), name or direction, type, artifact.id)
    return artifact.id


def _why_left(run: Run, job: Record, artifact: Artifact, record: str | None) -> str:
    if artifact.origin == "given":
        return "Not in this crate; no job made it."
    if artifact.origin == "earlier job":
        kept = f" The record of this content is history/{record}.json." if record else ""
        return f"Not in this crate: its job wrote something else since.{kept}"
    files = f" {run.record(job)} has the SHA-256 of each of its files." if artifact.folder else ""
    return f"Not in this crate, only described.{files}"


def _add_raw(graph: Graph, run: Run, job: Record) -> list[str]:
    return [
        graph.describe(
            raw_id(raw),
            "File",
            name=raw.origin,
            sha256=raw.sha256,
            contentSize=None if raw.size is None else str(raw.size),
            description="Not in this crate, only named; no job made it.",
        )
        for raw in run.raw(job)
    ]


def _add_settings(graph: Graph, job: Record) -> list[str]:
    """The settings of a job, and the parameters of its rule that they are values of."""
    found = []
    for name, value in sorted(job.section("params").items()):
        # Packages are among the requirements of its tool.
        if name != "packages" and (id := graph.value(name, value)):
            graph.realize(parameter(job.rule, name), name, kind_of(value), id)
            found.append(id)
    return found


def _add_usage(graph: Graph, job: Record) -> list[str]:
    """What a job used, each a quantity that the crate describes."""
    threads = {name: value for name, value in job.section("threads").items() if not name.isupper()}
    used = {
        **_flat("peak_memory", job.section("peak_memory_bytes")),
        **_flat("time", job.section("time").get("seconds")),
        **_flat("threads", threads),
        **_flat("device", job.section("device")),
        **_flat("scheduler", job.section("scheduler")),
    }
    found = []
    for name, value in used.items():
        term = graph.describe(fragment("quantity", name), "DefinedTerm", name=name)
        known = {"propertyID": to(term)}
        if unit := UNITS.get(name.split(".")[0]):
            known["unitCode"] = to(f"https://qudt.org/vocab/unit/{unit}")
        found.append(graph.value(name, value, "used", **known))
    return [id for id in found if id]


def _flat(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {
            k: v for key, item in value.items() for k, v in _flat(f"{name}.{key}", item).items()
        }
    return {} if value is None else {name: value}


def _utc(job: Record, key: str) -> str:
    """A time of a record with its offset in figures, as the profile's examples have it."""
    return str(job.content["time"][key]).replace("Z", "+00:00")
