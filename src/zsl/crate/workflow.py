"""The workflow itself: its files, and the configuration that it was given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from zsl.crate.errors import CrateError
from zsl.crate.graph import Graph, fragment, to
from zsl.crate.run import Run
from zsl.files import sha256
from zsl.lineage import machine

SNAKEFILE = "Snakefile"
FILES = ("Makefile", "pyproject.toml", "README.md", "LICENSE", "CITATION.cff")
FOLDERS = ("workflow", "src/zsl", "profiles/default")
NOT_OF_RUN = "As it was when this was exported; jobs are not known to have run with it."
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
CONFIGURATION = "#workflow/input/configfile"
ENVIRONMENTS = {
    "requirements.lock": "https://pip.pypa.io/en/stable/reference/requirements-file-format/",
    "envs/environment.yaml": "https://docs.conda.io/projects/conda/en/latest/user-guide/tasks/"
    "manage-environments.html",
    "envs/container.def": "https://apptainer.org/docs/user/main/definition_files.html",
}
"""Files that say what to install, and where their format is described."""


def add_workflow(graph: Graph, root: Path) -> None:
    """Add the Snakefile as the main entity, with the files beside it.

    Raises CrateError where there is no Snakefile.
    """
    if not (root / SNAKEFILE).is_file():
        raise CrateError(f"there is no {SNAKEFILE} here; call this from the project's folder")
    path = root / "CITATION.cff"
    cited = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    git = machine.revision(root)
    known: dict[str, Any] = {
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        "name": cited.get("title", "Snakemake workflow"),
        "description": "The workflow as it was when it was exported; the version of the code that "
        "each job ran is that of its tool.",
        "conformsTo": to(BIOSCHEMAS),
        "encodingFormat": "text/plain",
        "sha256": sha256(root / SNAKEFILE),
    }
    if "commit" in git:
        known["version"] = f"{git['commit']}{'-dirty' if git.get('dirty') else ''}"
    graph.describe(BIOSCHEMAS, "CreativeWork", name="Bioschemas ComputationalWorkflow profile 1.0")
    environments = [name for name in ENVIRONMENTS if (root / name).is_file()]
    for name in environments:
        named = f"Format of {Path(name).name}"
        format = graph.describe(ENVIRONMENTS[name], "WebPageElement", name=named)
        graph.pack(name, conformsTo=to(format))
    if environments:
        known["buildInstructions"] = to(environments)
    if license := cited.get("license"):
        named = f"https://spdx.org/licenses/{license}"
        known["license"] = to(graph.describe(named, "CreativeWork", name=license))
    if authors := [_author(graph, author) for author in cited.get("authors", [])]:
        known["author"] = to(authors)
    how = {"main": True, "lang": "snakemake", "record_size": True}
    graph.add_workflow(root / SNAKEFILE, SNAKEFILE, properties=known, **how)
    for name in FILES:
        if (root / name).is_file():
            graph.pack(name)
    for folder in FOLDERS:
        if files := files_below(root / folder):
            graph.pack_folder(folder, files)


def add_configuration(graph: Graph, run: Run) -> list[str]:
    """Add the configuration files; identifiers of those that the run read."""
    read = []
    for path, place in run.places.items():
        words = NOT_OF_RUN if run.contradiction else None
        id = graph.pack(place, run.root / path, description=words)
        if not run.contradiction:
            graph.realize(CONFIGURATION, "configfile", "File", id)
            read.append(id)
    return read


def files_below(folder: Path) -> list[str]:
    """Files below a folder as sorted paths relative to it, without hidden ones and what Python
    compiled.

    Links are left out: what they lead to is none of the folder.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        hidden = any(part.startswith((".", "__pycache__")) for part in below.parts)
        if path.is_file() and not path.is_symlink() and not hidden:
            found.append(below.as_posix())
    return found


def _author(graph: Graph, author: Mapping[str, str]) -> str:
    """An author as CITATION.cff names them: a person has a family name, all others a name."""
    if "name" in author:
        id = fragment("author", author["name"])
        return graph.describe(id, "Organization", name=author["name"])
    name = " ".join(part for part in (author.get("given-names"), author["family-names"]) if part)
    return graph.describe(author.get("orcid", fragment("author", name)), "Person", name=name)
