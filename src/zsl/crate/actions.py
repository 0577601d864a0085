"""What happened: an action for each job, the engine's control of them, and the whole run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rocrate.rocrate import ROCrate

from zsl.crate.artifacts import Artifact, Artifacts, key
from zsl.crate.entities import (
    Payload,
    add,
    add_artifact,
    add_file,
    all_to,
    fragment,
    short,
    to,
    utc,
)
from zsl.crate.jobs import Job
from zsl.crate.raw import add_raw, raw_of
from zsl.crate.software import step, tool
from zsl.crate.values import add_parameter, add_settings, connect, plain, slot

COMPLETED = "http://schema.org/CompletedActionStatus"
UNITS = {
    "peak_memory.process": "https://qudt.org/vocab/unit/BYTE",
    "peak_memory.children": "https://qudt.org/vocab/unit/BYTE",
    "time": "https://qudt.org/vocab/unit/SEC",
}
QUANTITIES = {
    "peak_memory.process": "most memory resident at once in the process of the job",
    "peak_memory.children": "most memory resident at once in the largest of its child processes",
    "time": "wall-clock time of the job",
    "threads.declared": "threads that the rule declares",
    "threads.torch": "threads that torch was set to",
    "device.machine": "architecture of the machine",
    "device.cpu": "model of the processor",
    "device.cuda.devices": "names of the GPUs that the job saw",
    "device.cuda.driver": "version of the GPU driver",
    "device.cuda.used": "whether the process of the job itself used a GPU",
    "scheduler.slurm_job_id": "number of the SLURM job",
}


def add_job(crate: ROCrate, payload: Payload, job: Job, artifacts: Artifacts, root: Path) -> str:
    """Add the action of a job with what it read, wrote, was set to and used, and its record."""
    read = _files(crate, payload, job, "inputs", artifacts, root)
    read += add_raw(crate, raw_of(job, artifacts, root))
    written = _files(crate, payload, job, "outputs", artifacts, root)
    settings = add_settings(crate, job.rule, job.record.get("params", {}))
    time = job.record["time"]
    wildcards = f" with {job.wildcards}" if job.wildcards else ""
    threads = job.record.get("threads", {})
    add(
        crate,
        job.id,
        "CreateAction",
        name=job.name,
        description=f"Rule {job.rule}{wildcards}; its record is {job.path}.",
        instrument=to(tool(job)),
        object=all_to([*read, *settings]),
        result=all_to(written),
        startTime=utc(time["start"]),
        endTime=utc(time["end"]),
        actionStatus=COMPLETED,  # a job that fails leaves no record
        resourceUsage=all_to(_usage(crate, job)),
        environment=all_to(
            [_variable(crate, name, threads[name]) for name in sorted(threads) if name.isupper()]
        ),
    )
    add_file(crate, payload, job.path, root / job.path, about=to(job.id))
    return job.id


def add_connections(crate: ROCrate, jobs: Sequence[Job]) -> None:
    """Say which outputs of rules are inputs of others."""
    makers = {entry["path"]: (job.rule, entry) for job in jobs for entry in job.record["outputs"]}
    for job in jobs:
        for entry in job.record.get("inputs", []):
            if entry["path"] in makers:
                rule, output = makers[entry["path"]]
                source = slot(rule, "output", output.get("name"))
                target = slot(job.rule, "input", entry.get("name"))
                connect(crate, source, target, step(job.rule))


def add_controls(crate: ROCrate, jobs: Sequence[Job]) -> list[str]:
    """Add what the engine did: for each rule, one control of its jobs."""
    of_rules: dict[str, list[str]] = {}
    for job in jobs:
        of_rules.setdefault(job.rule, []).append(job.id)
    return [
        add(
            crate,
            fragment("control", rule),
            "ControlAction",
            name=f"Jobs of rule {rule}",
            instrument=to(step(rule)),
            object=all_to(ids),
            actionStatus=COMPLETED,
        )
        for rule, ids in sorted(of_rules.items())
    ]


def _files(
    crate: ROCrate,
    payload: Payload,
    job: Job,
    direction: str,
    artifacts: Artifacts,
    root: Path,
) -> list[str]:
    ids = []
    for entry in job.record.get(direction, []):
        artifact = artifacts[key(entry)]
        if crate.get(artifact.id) is None:
            why = _why_left(artifact, job, entry.get("record"))
            add_artifact(crate, payload, artifact, root, description=why)
        name = entry.get("name")
        parameter = slot(job.rule, direction[:-1], name)
        kind = "Dataset" if artifact.folder else "File"
        add_parameter(crate, parameter, name or direction[:-1], kind, artifact.id)
        ids.append(artifact.id)
    return ids


def _why_left(artifact: Artifact, job: Job, record: str | None) -> str | None:
    if artifact.carried:
        return None
    if artifact.origin == "given":
        return "Not in this crate; no job made it."
    if artifact.origin == "earlier job":
        kept = f" The record of this content is history/{record}.json." if record else ""
        return f"Not in this crate: its job wrote something else since.{kept}"
    files = f" {job.path} has the SHA-256 of each of its files." if artifact.folder else ""
    return f"Not in this crate, only described.{files}"


def _usage(crate: ROCrate, job: Job) -> list[str]:
    """What a job used, each a quantity that the crate describes."""
    record = job.record
    threads = {k: v for k, v in record.get("threads", {}).items() if not k.isupper()}
    used: dict[str, Any] = {
        **{f"peak_memory.{of}": size for of, size in record.get("peak_memory_bytes", {}).items()},
        **({"time": record["time"]["seconds"]} if "seconds" in record["time"] else {}),
        **{f"threads.{name}": value for name, value in threads.items()},
        **_flat("device", record.get("device", {})),
        **_flat("scheduler", record.get("scheduler", {})),
    }
    return [_used(crate, name, value) for name, value in used.items()]


def _used(crate: ROCrate, name: str, value: Any) -> str:
    quantity = fragment("quantity", name)
    described = QUANTITIES.get(name)
    add(crate, quantity, "DefinedTerm", name=name, description=described)
    id = fragment("used", name, short(value))
    if crate.get(id) is None:
        entity = {"@id": id, "@type": "PropertyValue", "name": name, "value": plain(value)}
        unit = {"unitCode": to(UNITS[name])} if name in UNITS else {}
        crate.add_jsonld({**entity, "propertyID": to(quantity), **unit})
    return id


def _flat(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for item, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(f"{name}.{item}", value)
        elif value is not None:
            flat[f"{name}.{item}"] = value
    return flat


def _variable(crate: ROCrate, name: str, value: str) -> str:
    id = fragment("environment", name, short(value))
    return add(crate, id, "PropertyValue", name=name, value=value)
