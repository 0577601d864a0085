"""The run of a workflow that a crate describes: its jobs, and what they read and wrote."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from zsl.crate.errors import CrateError
from zsl.crate.graph import fragment
from zsl.lineage.digests import sha256_of_files, sha256_of_folder
from zsl.lineage.history import HISTORY, LINEAGE, PROVENANCE
from zsl.lineage.store import Raw, Record, Records, read_records

LEFT_OUT = "left-out.sha256"
"""The file of a crate with the digests of all that jobs made and that is not in it."""


def action(job: Record) -> str:
    """Identifier of the action of a job."""
    return f"#job/{job.name}"


def stage(job: Record) -> str:
    """The folder of results that a job writes to."""
    return job.name.split("/", 1)[0]


def version_of(job: Record) -> str | None:
    """Commit of a job's code, with ``-dirty`` where files differed from it; None: not known."""
    git = job.section("git")
    return f"{git['commit']}{'-dirty' if git.get('dirty') else ''}" if "commit" in git else None


@dataclass(frozen=True)
class Artifact:
    """A file or a folder with one content."""

    entry: Mapping[str, Any]
    """What a record says of it."""
    carried: bool
    """Whether its bytes are in the crate."""
    origin: Literal["job", "earlier job", "given"]
    """What a job wrote last; what it wrote before that, and another job read; what no job wrote."""

    @property
    def path(self) -> str:
        """From the project's root; of what is not part of it, only the name."""
        return str(self.entry["path"])

    @property
    def folder(self) -> bool:
        """Whether it is a folder."""
        return bool(self.entry["kind"] == "folder")

    @property
    def id(self) -> str:
        """Identifier of its entity: its path where it is carried."""
        path = quote(self.path)
        if self.carried:
            return f"{path}/" if self.folder else path
        return f"#{path}" if self.origin == "job" else f"#{path}@{self.entry['sha256'][:12]}"

    @property
    def files(self) -> dict[str, str]:
        """Of a folder, SHA-256 of its files by path below it; links have no bytes of their own."""
        return {name: hex for name, hex in self.entry["files"].items() if ":" not in hex}

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 by path from the project's root, of each file."""
        if self.folder:
            return {f"{self.path}/{name}": hex for name, hex in self.files.items()}
        return {self.path: self.entry["sha256"]}


@dataclass(frozen=True)
class Run:
    """The run that is exported."""

    root: Path
    """Of the project."""
    results: str
    """Folder of results from the project's root: ``results/mini``."""
    records: Records
    jobs: Sequence[Record]
    """Those that succeeded, by name."""
    configfiles: Sequence[Path] = ()
    """Configuration files, as given."""
    expected: Sequence[str] = ()
    """Names of the jobs that make the figures and tables of this experiment."""
    contradiction: str | None = None
    """What speaks against the configuration files being those that it ran with."""
    carry: Collection[str] = ()
    """Kinds of artifacts (:data:`zsl.crate.command.HEAVY`) whose bytes are asked for."""

    def record(self, job: Record) -> str:
        """Path of the record of a job from the project's root."""
        return f"{self.results}/{job.path}"

    @cached_property
    def artifacts(self) -> dict[tuple[str, str], Artifact]:
        """Everything that jobs read or wrote, by path and SHA-256.

        Carried is what a job wrote last, if it is still there, and if it is light or of a kind
        that is asked for.

        Raises CrateError where something that is to be carried is not what its record says.
        """
        found: dict[tuple[str, str], Artifact] = {}
        for job in self.jobs:
            for entry in job.content["outputs"]:
                kind = _kind(job, entry)
                wanted = (kind is None or kind in self.carry) and not entry.get("external")
                carried = wanted and (self.root / entry["path"]).exists()
                found[_key(entry)] = Artifact(entry, carried, "job")
        written = {path for path, _ in found}
        for job in self.jobs:
            for entry in job.inputs:
                known = entry["path"] in written
                given = Artifact(entry, False, "earlier job" if known else "given")
                found.setdefault(_key(entry), given)
        self._verify([artifact for artifact in found.values() if artifact.carried])
        return found

    def artifact(self, entry: Mapping[str, Any]) -> Artifact:
        """The artifact of an entry of a record."""
        return self.artifacts[_key(entry)]

    @property
    def left_out(self) -> list[Artifact]:
        """What jobs wrote last and is not in the crate."""
        return [a for a in self.artifacts.values() if a.origin == "job" and not a.carried]

    def raw(self, job: Record) -> list[Raw]:
        """What a job read that no rule declares and no job made, each file once.

        Raises CrateError where the manifest of a corpus is none.
        """
        declared = {entry["sha256"] for entry in job.inputs}
        try:
            found = [raw for raw in self.records.raw_of(job) if raw.kind in ("named", "downloaded")]
        except ValueError as error:
            raise CrateError(f"{self.record(job)}: {error}; run its job again") from None
        once = {raw_id(raw): raw for raw in found if raw.sha256 not in declared}
        return list(once.values())

    @property
    def places(self) -> dict[Path, str]:
        """Where each configuration file is in the crate; those from elsewhere are numbered."""
        return {
            path: f"config/{number}/{path.name}"
            if path.is_absolute() or ".." in path.parts
            else path.as_posix()
            for number, path in enumerate(self.configfiles, 1)
        }

    @cached_property
    def missing(self) -> list[str]:
        """Expected figures and tables that were not made."""
        return sorted({*self.expected} - {job.name for job in self.jobs})

    @property
    def said(self) -> list[str]:
        """Sentences on what is not as one would expect of a run."""
        said = []
        if self.missing:
            total = len({*self.expected})
            said.append(
                f"{total - len(self.missing)} of the {total} figures and tables of the "
                f"configuration were made; not made: {', '.join(self.missing)}."
            )
        if self.contradiction:
            said.append(f"{self.contradiction} The settings of each job are those of its record.")
        return said

    def _verify(self, carried: Sequence[Artifact]) -> None:
        files = [artifact for artifact in carried if not artifact.folder]
        found = sha256_of_files(self.root / artifact.path for artifact in files)
        wrong = [a.path for a in files if a.entry["sha256"] != found[self.root / a.path]]
        for folder in (artifact for artifact in carried if artifact.folder):
            if folder.entry["files"] != sha256_of_folder(self.root / folder.path):
                wrong.append(folder.path)
        if wrong:
            more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise CrateError(
                f"not what their lineage records say: {', '.join(wrong[:3])}{more}. They were "
                "changed after their jobs, or a job is running now; delete them and run snakemake "
                "again"
            )


def read_run(results: str, root: Path = Path(), **known: Any) -> Run:
    """The run of the results in a folder, with all else that is ``known`` of it.

    Raises CrateError where a record cannot be read, or was not written there by a job;
    LineageError where there is none.
    """
    records = read_records(root / results)
    for path in records.closed:
        records.require_readable(path)
    for path, why in records.broken.items():
        raise CrateError(f"{results}/{path} {why}; run its job again")
    page = f"{LINEAGE}/{PROVENANCE}/"  # it shows the jobs, and is none
    jobs = {path: job for path, job in records.current.items() if not path.startswith(page)}
    for path, job in jobs.items():
        placed = job.path == path and job.start in ("", f"{results}/")
        if not placed or job.sha256 not in records.history:
            raise CrateError(
                f"{results}/{path} is none of the records that jobs wrote there "
                f"({LINEAGE}/{HISTORY}): it was changed, or its copy is gone; `zsl audit` says "
                "what is wrong"
            )
    return Run(root, results, records, list(jobs.values()), **known)


def raw_id(raw: Raw) -> str:
    """Identifier of a raw source."""
    return fragment("raw", f"{raw.origin}@{raw.sha256[:12]}")


def _key(entry: Mapping[str, Any]) -> tuple[str, str]:
    return entry["path"], entry["sha256"]


def _kind(job: Record, entry: Mapping[str, Any]) -> str | None:
    """Which kind of heavy artifacts an output is of; None: it is light."""
    if entry["path"].endswith(".h5"):
        return "measurements"
    folders = {"training": "checkpoints", "checkpoints": "checkpoints", "data": "tokens"}
    return folders.get(stage(job)) if entry["kind"] == "folder" else None
