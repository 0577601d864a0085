"""Writing a crate: every part of it, and the zip."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path

from rocrate.model import Preview
from rocrate.rocrate import ROCrate

from zsl.crate.actions import add_connections, add_controls, add_job
from zsl.crate.artifacts import Artifacts, artifacts_of
from zsl.crate.entities import Payload, add, add_file, add_folder, all_to, to
from zsl.crate.errors import CrateError
from zsl.crate.jobs import KEPT, Job, jobs_of
from zsl.crate.preview import preview
from zsl.crate.software import add_engine, add_installed, add_steps, add_tools, tool
from zsl.crate.values import parameter, slot
from zsl.crate.workflow import (
    SNAKEFILE,
    Run,
    add_configuration,
    add_run,
    add_workflow,
    files_below,
    said_of,
)
from zsl.files import CHUNK, replacing
from zsl.lineage.history import LINEAGE

WFRUN = "https://w3id.org/ro/wfrun"
PROFILES = {
    f"{WFRUN}/process/0.5": "Process Run Crate",
    f"{WFRUN}/workflow/0.5": "Workflow Run Crate",
    f"{WFRUN}/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
MORE_TERMS = {"buildInstructions": "https://codemeta.github.io/terms/buildInstructions"}
LEFT_OUT = "left-out.sha256"
ROOT_DIGEST = {
    "provenance": "The one digest of all records, and the list that it is the SHA-256 of, as they "
    "were when the report was made."
}
LICENSE = "The files of the workflow: see LICENSE. For the results, no license is recorded."
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the zip, so that equal results give equal bytes."""


def write_crate(
    out: Path,
    results: str,
    *,
    configfiles: Sequence[Path] = (),
    expected: Sequence[str] = (),
    contradiction: str | None = None,
    carry: Collection[str] = (),
    root: Path = Path(),
) -> None:
    """Write the results of an experiment to the zip ``out``.

    ``results`` is their folder from the project's ``root``; ``expected`` names the jobs without
    which the experiment is not complete (``figures/fig01``); ``contradiction`` says what speaks
    against the configuration files being those of the run (:mod:`zsl.crate.settings`), and is
    said; ``carry`` names the kinds of :data:`zsl.crate.artifacts.HEAVY` whose bytes are to be in
    the crate. Equal results give equal bytes.

    Raises :class:`CrateError` where ``out`` is no place for a zip, there are no results, or a file
    is not what its lineage record says.
    """
    check_place(out)
    jobs = jobs_of(results, root)
    artifacts = artifacts_of(jobs, carry, root)
    run = Run(results, configfiles, expected, jobs, contradiction)
    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(TERMS)
    crate.metadata.extra_terms.update(MORE_TERMS)
    payload: Payload = {}
    add_workflow(crate, payload, run, root)
    _add_all_jobs(crate, payload, run, artifacts, root)
    _add_left_out(crate, payload, artifacts)
    _describe(crate, run)
    _compact(crate)
    crate.add(Preview(crate, io.StringIO(preview(crate, run, artifacts, root))))
    for entity in (crate.metadata, crate.preview):
        payload |= {path: content for path, content in entity.stream()}
    try:
        _write_zip(out, payload)
    except OSError as error:
        raise CrateError(f"{out} cannot be written: {error}") from error


def check_place(out: Path) -> None:
    """Raise CrateError where a crate would replace what is none, or cannot be written."""
    if out.suffix != ".zip":
        raise CrateError(f"'{out}' is no name for a crate; name a file that ends in .zip")
    try:
        if not out.parent.is_dir():
            raise CrateError(f"{out} cannot be written: there is no folder {out.parent}; make it")
        if out.exists() and not (out.is_file() and zipfile.is_zipfile(out)):
            raise CrateError(f"{out} is there, and is no zip that may be replaced; name another")
    except OSError as error:
        raise CrateError(f"{out} cannot be written: {error}") from error


def _add_all_jobs(
    crate: ROCrate, payload: Payload, run: Run, artifacts: Artifacts, root: Path
) -> None:
    tools = add_tools(crate, payload, run.jobs, run.results, root)
    steps = add_steps(crate, run.jobs)
    actions = [add_job(crate, payload, job, artifacts, root) for job in run.jobs]
    _give_tools_their_parameters(crate, run.jobs)
    add_connections(crate, run.jobs)
    configuration = add_configuration(crate, payload, run, root)
    whole = add_run(crate, run, configuration, artifacts, root)
    workflow = crate.get(SNAKEFILE)
    workflow["hasPart"], workflow["step"] = all_to(tools), all_to(steps)
    workflow["softwareRequirements"] = all_to(add_installed(crate, run.jobs))
    organized = add(
        crate,
        "#engine",
        "OrganizeAction",
        name=f"Snakemake's work on {run.results}",
        instrument=to(add_engine(crate, run.jobs)),
        object=all_to(add_controls(crate, run.jobs)),
        result=to(whole),
    )
    crate.root_dataset["mentions"] = all_to([whole, organized, *actions])
    folders = {f"{LINEAGE}/{name}": description for name, description in KEPT.items()}
    for name, description in {**folders, **ROOT_DIGEST}.items():
        path = f"{run.results}/{name}"
        if files := files_below(root / path):
            add_folder(crate, payload, path, files, name=path, description=description)


def _give_tools_their_parameters(crate: ROCrate, jobs: Sequence[Job]) -> None:
    of_tools: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for job in jobs:
        read, written = of_tools.setdefault(tool(job), ({}, {}))
        for entry in job.record.get("inputs", []):
            read[slot(job.rule, "input", entry.get("name"))] = None
        for name in sorted(job.record.get("params", {})):
            if crate.get(parameter(job.rule, name)) is not None:
                read[parameter(job.rule, name)] = None
        for entry in job.record["outputs"]:
            written[slot(job.rule, "output", entry.get("name"))] = None
    for id, (read, written) in of_tools.items():
        entity = crate.get(id)
        if read:
            entity["input"] = all_to(list(read))
        entity["output"] = all_to(list(written))


def _add_left_out(crate: ROCrate, payload: Payload, artifacts: Artifacts) -> None:
    """Name every file that jobs wrote and that is not in the crate, as ``sha256sum`` does."""
    left = [a for a in artifacts.values() if a.origin == "job" and not a.carried]
    digests = {path: digest for a in left for path, digest in a.digests.items()}
    lines = [f"{digests[path]}  {path}\n" for path in sorted(digests) if len(digests[path]) == 64]
    if lines:
        add_file(
            crate,
            payload,
            LEFT_OUT,
            "".join(lines).encode(),
            description="SHA-256 of each file that jobs made and that is not in this crate; "
            f"in a folder that has them, sha256sum --check {LEFT_OUT}",
        )


def _describe(crate: ROCrate, run: Run) -> None:
    root = crate.root_dataset
    name = Path(run.results).name
    root["name"] = f"Results of the experiment {name}"
    root["description"] = " ".join(
        [
            f"Figures, tables, curves and fits of the experiment {name}, the records of the "
            f"{len(run.jobs)} jobs that made them, and the workflow.",
            *said_of(run),
            "Start with ro-crate-preview.html.",
        ]
    )
    root["license"] = LICENSE
    # When these results came to be; a crate of the same results is the same whenever it is made.
    root["datePublished"] = crate.get("#run")["endTime"]
    for id, title in PROFILES.items():
        add(crate, id, "CreativeWork", name=title, version=id.rsplit("/", 1)[1])
    root["conformsTo"] = all_to(list(PROFILES))


def _compact(crate: ROCrate) -> None:
    """Write lists of one as that one, as RO-Crate recommends."""
    for entity in crate.get_entities():
        properties = entity.properties()
        for name, value in properties.items():
            if isinstance(value, list) and len(value) == 1:
                properties[name] = value[0]


def _write_zip(out: Path, payload: Payload) -> None:
    with replacing(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in sorted(payload):
            info = zipfile.ZipInfo(path, EPOCH)
            info.compress_type = zipfile.ZIP_STORED if info.is_dir() else zipfile.ZIP_DEFLATED
            info.external_attr = (0o40755 << 16 | 0x10) if info.is_dir() else 0o100644 << 16
            content = payload[path]
            if isinstance(content, bytes):
                archive.writestr(info, content)
                continue
            info.file_size = content.stat().st_size
            with content.open("rb") as source, archive.open(info, "w") as target:
                shutil.copyfileobj(source, target, CHUNK)
