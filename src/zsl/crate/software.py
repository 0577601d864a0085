"""What ran: the rules as tools, the scripts and modules behind them, packages, and steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from urllib.parse import quote

from rocrate.rocrate import ROCrate

from zsl.crate.entities import Payload, add, add_file, all_to, fragment, to
from zsl.crate.jobs import Job
from zsl.lineage.history import LINEAGE

SNAKEMAKE = "snakemake"
LOCK = "requirements.lock"
PYTHON = "https://www.python.org/"


def tool(job: Job) -> str:
    """Identifier of the tool that a job ran: its rule, in one version of the code."""
    return fragment("rule", f"{job.rule}@{short_version(job)}")


def short_version(job: Job) -> str:
    """The version of a job's code in few digits; ``unknown`` where it is not recorded."""
    commit, dirty, _ = (job.version or "unknown").partition("-dirty")
    return f"{commit[:12]}{dirty}"


def step(rule: str) -> str:
    """Identifier of the step of the workflow that a rule is."""
    return fragment("step", rule)


def add_tools(
    crate: ROCrate, payload: Payload, jobs: Sequence[Job], results: str, root: Path
) -> list[str]:
    """Add the tools with their scripts, modules and packages; their identifiers."""
    tools: dict[str, list[Job]] = {}
    for job in jobs:
        tools.setdefault(tool(job), []).append(job)
    for id, of_tool in tools.items():
        modules: dict[str, str] = {}
        packages: set[str] = set()
        scripts = []
        for job in of_tool:
            code = job.record.get("code", {})
            for name, digest in code.get("modules", {}).items():
                modules[f"{name} {digest}"] = _module(crate, payload, name, digest, results, root)
            if script := modules.get(f"{code.get('script')} {_digest_of_script(code)}"):
                scripts.append(script)
            packages.update(_packages(crate, job))
        add(
            crate,
            id,
            "SoftwareApplication",
            name=f"rule {of_tool[0].rule}",
            softwareVersion=of_tool[0].version,
            softwareRequirements=all_to([*sorted(modules.values()), *sorted(packages)]),
            # A tree with changes may have had several versions of the script.
            mainEntity=to(scripts[-1]) if scripts else None,
        )
    return list(tools)


def add_steps(crate: ROCrate, jobs: Sequence[Job]) -> list[str]:
    """Add a step for each rule, in an order in which they can run; their identifiers."""
    tools: dict[str, list[str]] = {}
    locks: dict[str, list[str]] = {}
    for job in jobs:
        tools.setdefault(job.rule, []).append(tool(job))
        if digest := job.record.get("environment", {}).get("lock_sha256"):
            locks.setdefault(job.rule, []).append(_lock(crate, digest))
    positions = _positions(jobs)
    for rule in sorted(tools, key=lambda rule: (positions.get(rule, 0), rule)):
        add(
            crate,
            step(rule),
            "HowToStep",
            name=rule,
            position=str(positions[rule]) if positions else None,
            workExample=all_to(tools[rule]),
            buildInstructions=all_to(locks.get(rule, [])),
        )
    return [step(rule) for rule in sorted(tools, key=lambda rule: (positions.get(rule, 0), rule))]


def add_package(crate: ROCrate, name: str, version: str) -> str:
    """Add a Python package, named by its package URL."""
    id = f"pkg:pypi/{quote(name)}@{quote(version, safe='')}"
    return add(crate, id, "SoftwareApplication", name=name, softwareVersion=version)


def add_installed(crate: ROCrate, jobs: Sequence[Job]) -> list[str]:
    """Add everything that was installed for a job: Python and the packages."""
    found: dict[str, None] = {}
    for job in jobs:
        environment = job.record.get("environment", {})
        if version := environment.get("python"):
            id = fragment("python", version)
            named = {"name": "Python", "url": PYTHON, "softwareVersion": version}
            found[add(crate, id, "SoftwareApplication", **named)] = None
        for name, version in sorted(environment.get("packages", {}).items()):
            found[add_package(crate, name, version)] = None
    return list(found)


def add_engine(crate: ROCrate, jobs: Sequence[Job]) -> str:
    """Add the workflow engine; its version, where all jobs had the same."""
    installed = [job.record.get("environment", {}).get("packages", {}) for job in jobs]
    versions = {packages.get(SNAKEMAKE) for packages in installed}
    version = versions.pop() if len(versions) == 1 else None
    if version:
        return add_package(crate, SNAKEMAKE, version)
    return add(crate, fragment(SNAKEMAKE), "SoftwareApplication", name=SNAKEMAKE)


def _lock(crate: ROCrate, digest: str) -> str:
    """The pins that a job ran with: those of the crate, or others of which only this is known."""
    carried = crate.get(LOCK)
    if carried is not None and carried["sha256"] == digest:
        return LOCK
    id = fragment(f"{LOCK}@{digest[:12]}")
    known = {"name": LOCK, "sha256": digest, "encodingFormat": "text/plain"}
    return add(crate, id, "File", **known, description="Not in this crate, only named.")


def _digest_of_script(code: Mapping[str, object]) -> object:
    modules = code.get("modules", {})
    return modules.get(code.get("script")) if isinstance(modules, dict) else None


def _module(
    crate: ROCrate, payload: Payload, name: str, digest: str, results: str, root: Path
) -> str:
    """A module by the digest that records give it; with its source, where that was kept."""
    known = {"name": name, "version": digest}
    suffix = Path(name).suffix if "/" in name else ".py"
    path = f"{results}/{LINEAGE}/code/{digest}{suffix}"
    id = quote(path) if (root / path).is_file() else fragment("code", name, digest)
    if crate.get(id) is not None:
        return id
    types = ["SoftwareSourceCode"]
    if not (root / path).is_file():
        return add(crate, id, types[0], **known)
    add_file(crate, payload, path, root / path, **known)
    crate.get(id).properties()["@type"] = ["File", *types]
    return id


def _packages(crate: ROCrate, job: Job) -> list[str]:
    """The packages that a rule declares, in the versions that were installed."""
    installed = job.record.get("environment", {}).get("packages", {})
    pinned = job.record.get("params", {}).get("packages", {})
    return [add_package(crate, name, installed.get(name, pin)) for name, pin in pinned.items()]


def _positions(jobs: Sequence[Job]) -> dict[str, int]:
    """Position of each rule after those that it reads from; empty where they go in circles."""
    makers = {entry["path"]: job.rule for job in jobs for entry in job.record["outputs"]}
    before: dict[str, set[str]] = {job.rule: set() for job in jobs}
    for job in jobs:
        read = {makers.get(entry["path"], job.rule) for entry in job.record.get("inputs", [])}
        before[job.rule] |= read - {job.rule}
    ordered = TopologicalSorter({rule: sorted(rules) for rule, rules in sorted(before.items())})
    try:
        return {rule: position for position, rule in enumerate(ordered.static_order(), 1)}
    except CycleError:
        return {}
