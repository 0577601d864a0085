"""Writing a crate: every part of it, and the zip."""

from __future__ import annotations

import hashlib
import io
import zipfile
from itertools import groupby
from pathlib import Path

from rocrate.model import Preview

from zsl.crate.actions import add_connections, add_job, add_run
from zsl.crate.errors import CrateError
from zsl.crate.graph import Graph, to
from zsl.crate.preview import preview
from zsl.crate.run import LEFT_OUT, Run, action
from zsl.crate.software import add_steps, add_tools
from zsl.crate.workflow import SNAKEFILE, add_configuration, add_workflow, files_below
from zsl.files import CHUNK, replacing

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
KEPT = {
    "lineage/history": "Every record that was ever written, named by its SHA-256.",
    "lineage/code": "The source of every module that counted, named by the digest in the records.",
    "lineage/accepted": "Changes that were accepted without running jobs again, with the reasons.",
    "lineage/provenance": "The record of the page of the report that shows the records.",
    "provenance": "The one digest of all records, and the list that it is the SHA-256 of, as they "
    "were when the report was made.",
}
"""Folders of results beside the current records and artifacts, and what is in them."""
LICENSE = "The files of the workflow: see LICENSE. For the results, no license is recorded."
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the zip, so that equal results give equal bytes."""


def write_crate(out: Path, run: Run) -> None:
    """Write the results of a run to the zip ``out``; equal results give equal bytes.

    Raises CrateError where ``out`` is no place for a zip, or a file is not what its lineage record
    says.
    """
    check_place(out)
    graph = Graph(run.root)
    add_workflow(graph, run.root)
    for job in run.jobs:
        add_job(graph, run, job)
    tools, steps = add_tools(graph, run), add_steps(graph, run)
    add_connections(graph, run)
    mentions = add_run(graph, run, add_configuration(graph, run))
    workflow = graph.get(SNAKEFILE)
    workflow["hasPart"], workflow["step"] = to(tools), to(steps)
    graph.root_dataset["mentions"] = to([*mentions, *map(action, run.jobs)])
    for name, description in KEPT.items():
        path = f"{run.results}/{name}"
        if files := files_below(run.root / path):
            graph.pack_folder(path, files, description=description)
    _add_left_out(graph, run)
    _describe(graph, run)
    graph.add(Preview(graph, io.StringIO(preview(graph, run))))
    try:
        _write_zip(out, graph)
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


def _add_left_out(graph: Graph, run: Run) -> None:
    """Name every file that jobs wrote and that is not in the crate, as ``sha256sum`` does."""
    digests = {path: hex for artifact in run.left_out for path, hex in artifact.digests.items()}
    if digests:
        said = (
            "SHA-256 of each file that jobs made and that is not in this crate; in a folder that "
            f"has them, sha256sum --check {LEFT_OUT}"
        )
        lines = "".join(f"{digests[path]}  {path}\n" for path in sorted(digests)).encode()
        known = {"name": LEFT_OUT, "description": said, "encodingFormat": "text/plain"}
        known["sha256"] = hashlib.sha256(lines).hexdigest()
        graph.add_file(io.BytesIO(lines), LEFT_OUT, properties=known, record_size=True)


def _describe(graph: Graph, run: Run) -> None:
    root, name = graph.root_dataset, Path(run.results).name
    root["name"] = f"Results of the experiment {name}"
    said = (
        f"Figures, tables, curves and fits of the experiment {name}, the records of the "
        f"{len(run.jobs)} jobs that made them, and the workflow."
    )
    root["description"] = " ".join([said, *run.said, "Start with ro-crate-preview.html."])
    root["license"] = LICENSE
    # When these results came to be; a crate of the same results is the same whenever it is made.
    root["datePublished"] = graph.get("#run")["endTime"]
    for id, title in PROFILES.items():
        graph.describe(id, "CreativeWork", name=title, version=id.rsplit("/", 1)[1])
    root["conformsTo"] = to(PROFILES)


def _write_zip(out: Path, graph: Graph) -> None:
    """Write what the entities of the graph stream; unlike that of ``rocrate``, the zip does not
    depend on the hour."""
    written = set()
    with replacing(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for entity in [*graph.data_entities, *graph.default_entities]:
            for path, chunks in groupby(entity.stream(CHUNK), lambda item: item[0]):
                if path in written:  # a source in the folder of sources is an entity of its own
                    continue
                written.add(path)
                info = zipfile.ZipInfo(path, EPOCH)
                folder = info.is_dir()
                info.compress_type = zipfile.ZIP_STORED if folder else zipfile.ZIP_DEFLATED
                info.external_attr = (0o40755 << 16 | 0x10) if folder else 0o100644 << 16
                with archive.open(info, "w", force_zip64=True) as target:
                    for _, chunk in chunks:
                        target.write(chunk)
