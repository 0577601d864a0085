"""The workflow itself: its files, its inputs and outputs, and its run as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

import yaml
from rocrate.rocrate import ROCrate

from zsl.crate.actions import COMPLETED
from zsl.crate.artifacts import Artifacts, digest, key
from zsl.crate.entities import (
    Payload,
    add,
    add_file,
    add_folder,
    all_to,
    fragment,
    to,
    utc,
)
from zsl.crate.errors import CrateError
from zsl.crate.jobs import Job
from zsl.crate.raw import add_raw, raw_of
from zsl.crate.settings import NOT_CONFIGURED
from zsl.crate.software import step
from zsl.crate.values import add_parameter, connect, parameter, slot
from zsl.lineage import machine

SNAKEFILE = "Snakefile"
ENVIRONMENTS = ("requirements.lock", "envs/environment.yaml", "envs/container.def")
FILES = ("Makefile", "pyproject.toml", "README.md", "LICENSE", "CITATION.cff")
FOLDERS = ("workflow", "src/zsl", "profiles/default")
SHOWN = ("figures", "tables", "compare")
"""Stages whose outputs are the workflow's."""
NOT_OF_RUN = "As it was when this was exported; jobs are not known to have run with it."
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
CONFIGURATION = "#workflow/input/configfile"
CONDA_FILE = (
    "https://docs.conda.io/projects/conda/en/latest/user-guide/tasks/manage-environments.html"
)
APPTAINER_FILE = "https://apptainer.org/docs/user/main/definition_files.html"
PIP_FILE = "https://pip.pypa.io/en/stable/reference/requirements-file-format/"
FORMATS = dict(zip(ENVIRONMENTS, (PIP_FILE, CONDA_FILE, APPTAINER_FILE), strict=True))


@dataclass(frozen=True)
class Run:
    """The run of the workflow that is exported."""

    results: str
    """Folder of results from the project's root: ``results/mini``."""
    configfiles: Sequence[Path]
    """Configuration files, as given."""
    expected: Sequence[str]
    """Names of the jobs that make the figures and tables of this experiment."""
    jobs: Sequence[Job]
    """Its jobs."""
    contradiction: str | None = None
    """What speaks against the configuration files being those that it ran with."""


def add_workflow(crate: ROCrate, payload: Payload, run: Run, root: Path) -> None:
    """Add the Snakefile as the main entity, with the files beside it.

    Raises :class:`CrateError` where there is no Snakefile.
    """
    if not (root / SNAKEFILE).is_file():
        raise CrateError(f"there is no {SNAKEFILE} here; call this from the project's folder")
    cited = _cited(root)
    environments = [_environment(crate, payload, path, root) for path in ENVIRONMENTS]
    payload[SNAKEFILE] = root / SNAKEFILE
    version = machine.revision(root)
    dirty = "-dirty" if version.get("dirty") else ""
    workflow = crate.add_workflow(
        SNAKEFILE,
        SNAKEFILE,
        main=True,
        lang="snakemake",
        properties={
            "name": cited.get("title", "Snakemake workflow"),
            "conformsTo": to(BIOSCHEMAS),
            "encodingFormat": "text/plain",
            **digest(root / SNAKEFILE),
        },
    )
    workflow.properties()["@type"] = [
        "File",
        "SoftwareSourceCode",
        "ComputationalWorkflow",
        "HowTo",
    ]
    workflow["description"] = (
        "The workflow as it was when it was exported; the version of the code that each job ran "
        "is that of its tool."
    )
    add(crate, BIOSCHEMAS, "CreativeWork", name="Bioschemas ComputationalWorkflow profile 1.0")
    if "commit" in version:
        workflow["version"] = f"{version['commit']}{dirty}"
    if found := [id for id in environments if id]:
        workflow["buildInstructions"] = all_to(found)
    if license := cited.get("license"):
        named = f"https://spdx.org/licenses/{license}"
        workflow["license"] = to(add(crate, named, "CreativeWork", name=license))
    if authors := [_author(crate, author) for author in cited.get("authors", [])]:
        workflow["author"] = all_to(authors)
    for path in FILES:
        if (root / path).is_file():
            add_file(crate, payload, path, root / path)
    for folder in FOLDERS:
        if files := files_below(root / folder):
            add_folder(crate, payload, folder, files, name=folder)


def places(configfiles: Sequence[Path]) -> dict[Path, str]:
    """Where each configuration file is in the crate; those from elsewhere are in ``config``,
    numbered where their names are taken.
    """
    found = {
        path: path.as_posix()
        for path in configfiles
        if not path.is_absolute() and ".." not in path.parts
    }
    for path in configfiles:
        names = (f"config/{path.stem}{n}{path.suffix}" for n in chain([""], count(2)))
        if path not in found:
            found[path] = next(name for name in names if name not in found.values())
    return found


def add_configuration(crate: ROCrate, payload: Payload, run: Run, root: Path) -> list[str]:
    """Add the configuration files; identifiers of those that the run read."""
    read = []
    for path, place in places(run.configfiles).items():
        if run.contradiction:
            add_file(crate, payload, place, root / path, description=NOT_OF_RUN)
            continue
        id = add_file(crate, payload, place, root / path)
        add_parameter(crate, CONFIGURATION, "configfile", "File", id)
        read.append(id)
    return read


def said_of(run: Run) -> list[str]:
    """Sentences on what is not as one would expect of a run."""
    said = []
    if missing := sorted(set(run.expected) - {job.name for job in run.jobs}):
        total = len(set(run.expected))
        said.append(
            f"{total - len(missing)} of the {total} figures and tables of the configuration were "
            f"made; not made: {', '.join(missing)}."
        )
    if run.contradiction:
        said.append(f"{run.contradiction} The settings of each job are those of its record.")
    return said


def add_run(
    crate: ROCrate, run: Run, configuration: Sequence[str], artifacts: Artifacts, root: Path
) -> str:
    """Add the run of the workflow, from configuration and raw text to figures and tables."""
    workflow = crate.get(SNAKEFILE)
    read, written = list(configuration), []
    inputs, outputs = ([CONFIGURATION] if read else []), []
    for job in run.jobs:
        for entry in job.record.get("inputs", []):
            if artifacts[key(entry)].origin == "given":
                id = artifacts[key(entry)].id
                inputs.append(_given(crate, job, entry, id))
                read.append(id)
        read += add_raw(crate, raw_of(job, artifacts, root))
        if job.stage in SHOWN:
            for entry in job.record["outputs"]:
                id = artifacts[key(entry)].id
                outputs.append(_shown(crate, job, entry, id))
                written.append(id)
        for name in sorted(job.record.get("params", {})):
            target = parameter(job.rule, name)
            known = configuration and name not in NOT_CONFIGURED
            if known and crate.get(target) is not None:
                connect(crate, CONFIGURATION, target, step(job.rule))
    workflow["input"], workflow["output"] = all_to(inputs), all_to(outputs)
    complete = set(run.expected) <= {job.name for job in run.jobs}
    return add(
        crate,
        "#run",
        "CreateAction",
        name=f"Run of {run.results}",
        description=" ".join(
            [
                f"All jobs of {run.results}, from the start of the first to the end of the last; "
                "there may be pauses between them.",
                *said_of(run),
            ]
        ),
        instrument=to(SNAKEFILE),
        object=all_to(read),
        result=all_to(written),
        startTime=min(utc(job.record["time"]["start"]) for job in run.jobs),
        endTime=max(utc(job.record["time"]["end"]) for job in run.jobs),
        # What is not made may have failed, or never have been asked for: no record tells.
        actionStatus=COMPLETED if complete else None,
    )


def _given(crate: ROCrate, job: Job, entry: Mapping[str, Any], id: str) -> str:
    """The input of the workflow that a job's input is, since no job made it."""
    target = slot(job.rule, "input", entry.get("name"))
    name = f"{job.rule}.{entry.get('name', 'input')}"
    given = fragment("workflow", "input", name)
    add_parameter(crate, given, name, crate.get(target)["additionalType"], id)
    connect(crate, given, target, step(job.rule))
    return given


def _shown(crate: ROCrate, job: Job, entry: Mapping[str, Any], id: str) -> str:
    source = slot(job.rule, "output", entry.get("name"))
    shown = fragment("workflow", "output", job.stage)
    add_parameter(crate, shown, job.stage, "File", id)
    connect(crate, source, shown, SNAKEFILE)
    return shown


def _environment(crate: ROCrate, payload: Payload, path: str, root: Path) -> str | None:
    if not (root / path).is_file():
        return None
    format = add(crate, FORMATS[path], "WebPageElement", name=f"Format of {Path(path).name}")
    properties = {"conformsTo": to(format)}
    if path.endswith(".def"):
        properties["encodingFormat"] = "text/plain"  # type: ignore[assignment]
    return add_file(crate, payload, path, root / path, **properties)


def files_below(folder: Path) -> dict[str, Path]:
    """Files below a folder by path relative to it, without hidden ones and what Python compiled.

    Links are left out: what they lead to is none of the folder.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        hidden = any(part.startswith((".", "__pycache__")) for part in below.parts)
        if path.is_file() and not path.is_symlink() and not hidden:
            found[below.as_posix()] = path
    return found


def _cited(root: Path) -> dict[str, Any]:
    path = root / "CITATION.cff"
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _author(crate: ROCrate, author: Mapping[str, str]) -> str:
    """An author as CITATION.cff names them: a person has a family name, all others a name."""
    if "name" in author:
        return add(crate, fragment("author", author["name"]), "Organization", name=author["name"])
    name = " ".join(part for part in (author.get("given-names"), author["family-names"]) if part)
    return add(crate, author.get("orcid", fragment("author", name)), "Person", name=name)
