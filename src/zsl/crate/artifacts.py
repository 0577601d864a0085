"""The files and folders that jobs read and wrote: which the crate carries, which it only names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from zsl.crate.errors import CrateError
from zsl.crate.jobs import Job
from zsl.files import sha256
from zsl.lineage.digests import sha256_of_files, sha256_of_folder

HEAVY = ("checkpoints", "measurements", "tokens")
"""Kinds of artifacts whose bytes stay out of a crate unless they are asked for."""


Origin = Literal["job", "earlier job", "given"]
"""What a job wrote last; what it wrote before that, and another job read; what no job wrote."""


@dataclass(frozen=True)
class Artifact:
    """A file or a folder with one content."""

    path: str
    """From the project's root; of what is not part of it, only the name."""
    folder: bool
    size: int | None
    """Bytes, where recorded."""
    sha256: str | None
    """Of a file its bytes', of a folder that of the digests of its files."""
    files: Mapping[str, str]
    """Of a folder, SHA-256 by relative path."""
    carried: bool
    """Whether its bytes are in the crate."""
    origin: Origin
    """Where it comes from."""

    @property
    def id(self) -> str:
        """Identifier of its entity: its path where it is carried."""
        path = quote(self.path)
        if self.carried:
            return f"{path}/" if self.folder else path
        known = self.origin == "job" or not self.sha256
        version = "" if known else f"@{(self.sha256 or '')[:12]}"
        return f"#{path}{version}"

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 by path from the project's root, of each file."""
        if self.folder:
            return {f"{self.path}/{name}": digest for name, digest in self.files.items()}
        return {self.path: self.sha256} if self.sha256 else {}


Artifacts = Mapping[tuple[str, str | None], Artifact]
"""Artifacts by path and SHA-256."""


def artifacts_of(jobs: Sequence[Job], asked: Collection[str], root: Path) -> Artifacts:
    """Everything that jobs read or wrote, by path and SHA-256.

    Carried is what a job wrote last, if it is still there, and if it is of none of the kinds
    ``HEAVY`` or of one that is ``asked`` for.

    Raises :class:`CrateError` where something that is to be carried is not what its record says.
    """
    found: dict[tuple[str, str | None], Artifact] = {}
    for job in jobs:
        for entry in job.record["outputs"]:
            kind = _kind(job, entry)
            wanted = (kind is None or kind in asked) and not entry.get("external")
            found[key(entry)] = _artifact(entry, wanted and (root / entry["path"]).exists(), "job")
    written = {path for path, _ in found}
    for job in jobs:
        for entry in job.record.get("inputs", []):
            origin: Origin = "earlier job" if entry["path"] in written else "given"
            found.setdefault(key(entry), _artifact(entry, False, origin))
    _verify([artifact for artifact in found.values() if artifact.carried], root)
    return found


def key(entry: Mapping[str, Any]) -> tuple[str, str | None]:
    """The key of a record's entry among the artifacts."""
    return entry["path"], entry.get("sha256")


def _artifact(entry: Mapping[str, Any], carried: bool, origin: Origin) -> Artifact:
    return Artifact(
        path=entry["path"],
        folder=entry.get("kind") == "folder",
        size=entry.get("size"),
        sha256=entry.get("sha256"),
        files=entry.get("files", {}),
        carried=carried,
        origin=origin,
    )


def _kind(job: Job, entry: Mapping[str, Any]) -> str | None:
    """Which of ``HEAVY`` an output is of; None: it is light."""
    if entry["path"].endswith(".h5"):
        return "measurements"
    folders = {"training": "checkpoints", "data": "tokens"}
    return folders.get(job.stage) if entry.get("kind") == "folder" else None


def _verify(carried: Sequence[Artifact], root: Path) -> None:
    files = [artifact for artifact in carried if not artifact.folder]
    found = sha256_of_files(root / artifact.path for artifact in files)
    wrong = [a.path for a in files if a.sha256 != found[root / a.path]]
    folders = [artifact for artifact in carried if artifact.folder]
    wrong += [a.path for a in folders if dict(a.files) != sha256_of_folder(root / a.path)]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise CrateError(
            f"not what their lineage records say: {', '.join(wrong[:3])}{more}. They were changed "
            "after their jobs, or a job is running now; delete them and run snakemake again"
        )


def digest(path: Path) -> dict[str, str]:
    """``sha256`` and ``contentSize`` of a file, as a crate gives them."""
    return {"sha256": sha256(path), "contentSize": str(path.stat().st_size)}
