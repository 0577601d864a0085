"""Repositories of the Hugging Face Hub: what they hold, told and fetched by ``huggingface_hub``.

The address (``HF_ENDPOINT``), its cache (``HF_HOME``), tokens, proxies, locks, resumption and
``HF_HUB_OFFLINE`` are that library's. What it does not do is done here: the commit that a name
stands for and the digests of its files are pinned when they are first seen, and what is fetched is
held against them.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zsl.checkpoints.answers import asking
from zsl.checkpoints.errors import CheckpointError, MovedError, UnreachableError
from zsl.checkpoints.patterns import some
from zsl.errors import BrokenFileError
from zsl.files import CHUNK, link_or_copy, read_json, sha256, write_json

COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class HubFile:
    """A file of a commit, as the Hub tells of it."""

    size: int
    """Bytes."""
    sha256: str | None
    """Of its bytes where it is a large file (LFS), else None."""
    blob: str
    """Git's digest of its bytes, or, of a large file, of what Git keeps in its place."""

    @property
    def digest(self) -> str:
        """What two files of equal bytes have in common."""
        return self.sha256 or self.blob


@dataclass(frozen=True)
class Revision:
    """What a name of a repository stands for."""

    name: str
    commit: str
    files: dict[str, HubFile]
    """By their paths in the repository."""


class Repository:
    """A repository of models, and what was pinned of it in the JSON file ``pins``.

    That file holds ``{repository: {revision: {commit, files: {path: {size, sha256, blob}}}}}``.
    Methods raise CheckpointError, and UnreachableError where a further attempt may succeed.
    """

    def __init__(self, name: str, pins: Path | None = None) -> None:
        self.name, self.pins = name, pins
        self._heads: dict[str, str] | None = None
        self._known: dict[str, Revision] | None = None
        self._new: dict[str, Revision] = {}

    def revisions(self) -> dict[str, str]:
        """The commits of all branches and tags by name; asked for once."""
        if self._heads is None:
            with asking(self.name):
                from huggingface_hub import HfApi

                refs = HfApi().list_repo_refs(self.name)
                self._heads = {ref.name: ref.target_commit for ref in (*refs.branches, *refs.tags)}
        return self._heads

    def names(self) -> list[str]:
        """Names of revisions: those of the server, or where it cannot be reached, those pinned.

        Raises UnreachableError where there are neither.
        """
        try:
            return list(self.revisions())
        except UnreachableError:
            if pinned := list(self._pinned()):
                return pinned
            raise

    def revision(self, name: str) -> Revision:
        """The commit of a branch, a tag or a commit's own name, and its files.

        What is pinned is believed where the server cannot be reached. Raises MovedError where the
        server has another commit than the pinned one; a large file's digest cannot change then.
        """
        pinned = self._pinned().get(name) or self._new.get(name)
        try:
            commit = name if COMMIT.fullmatch(name) else self.revisions().get(name)
        except UnreachableError:
            if pinned is None:
                raise
            return pinned
        if commit is None:
            raise CheckpointError(
                f"{self.name}: has no revision {name!r}; it has {some(self.revisions())}"
            )
        if pinned is None:
            pinned = self._new[name] = Revision(name, commit, self._files(commit, name))
        if pinned.commit != commit:
            raise MovedError(
                f"{self.name}: {name} was commit {pinned.commit[:12]} when it was first seen and "
                f"is {commit[:12]} now, so that it may hold other weights; to go on with what was "
                f"seen, name commit {pinned.commit} in place of {name}; to take what is there "
                f"now, delete {name} in {self.pins} and what was made from it"
            )
        return pinned

    def pin(self) -> None:
        """Write to ``pins`` what was seen for the first time."""
        if self.pins is None or not self._new:
            return
        everything = self._read()
        known = everything.setdefault(self.name, {})
        for name, revision in self._new.items():
            files = {
                path: {"size": file.size, "sha256": file.sha256, "blob": file.blob}
                for path, file in revision.files.items()
            }
            known.setdefault(name, {"commit": revision.commit, "files": files})
        write_json(self.pins, everything)
        self._new, self._known = {}, None

    def fetch(self, revision: Revision, names: Sequence[str], folder: Path) -> dict[str, str]:
        """Bring files of a revision into ``folder``; their SHA-256 by name.

        A file that is there, here or in the cache of ``huggingface_hub``, is not fetched again. A
        file has its name in ``folder`` only once its digest was checked; until then it is in a
        folder beside it, where a further call goes on.
        """
        missing = [name for name in names if name not in revision.files]
        if missing:
            raise CheckpointError(
                f"{self.name} at {revision.name}: has no file {some(missing)}; it has "
                f"{some(revision.files)}"
            )
        digests, work = {}, folder.with_name(f".{folder.name}.fetching")
        for name in names:
            file, target = revision.files[name], folder / name
            found = _digest(target, file) if target.is_file() else None
            if found is None:
                found = self._bring(revision, name, work)
                target.parent.mkdir(parents=True, exist_ok=True)
                (work / name).replace(target)
            digests[name] = found
        shutil.rmtree(work, ignore_errors=True)
        return digests

    def _bring(self, revision: Revision, name: str, work: Path) -> str:
        """Bring a file into ``work``; its SHA-256."""
        where = f"{self.name} at {revision.name}: {name}"
        here = work / name
        here.parent.mkdir(parents=True, exist_ok=True)
        with asking(self.name, revision.name, name):
            from huggingface_hub import hf_hub_download, try_to_load_from_cache

            cached = try_to_load_from_cache(self.name, name, revision=revision.commit)
            if isinstance(cached, str):
                here.unlink(missing_ok=True)
                link_or_copy(cached, here)
            else:
                hf_hub_download(self.name, name, revision=revision.commit, local_dir=work)
        file = revision.files[name]
        found = _digest(here, file)
        if found is None:
            size = here.stat().st_size
            here.unlink()
            whence = f"the copy in the cache, {cached}," if isinstance(cached, str) else "what came"
            raise CheckpointError(
                f"{where}: {whence} has {size:,} bytes and another digest than the "
                f"{file.size:,} bytes {file.digest[:16]}… that the repository tells of; "
                + ("delete that copy and run again" if isinstance(cached, str) else "run again")
            )
        return found

    def _files(self, commit: str, name: str) -> dict[str, HubFile]:
        with asking(self.name, name):
            from huggingface_hub import HfApi
            from huggingface_hub.hf_api import RepoFile

            tree = HfApi().list_repo_tree(self.name, revision=commit, recursive=True)
            return {
                item.path: HubFile(item.size, item.lfs.sha256 if item.lfs else None, item.blob_id)
                for item in tree
                if isinstance(item, RepoFile)
            }

    def _read(self) -> dict[str, Any]:
        if self.pins is None or not self.pins.exists():
            return {}
        value = read_json(self.pins)
        if not isinstance(value, dict):
            raise BrokenFileError(f"{self.pins}: holds no repositories; delete it to pin anew")
        return value

    def _pinned(self) -> dict[str, Revision]:
        if self._known is None:
            self._known = self._read_pinned()
        return self._known

    def _read_pinned(self) -> dict[str, Revision]:
        try:
            return {
                name: Revision(
                    name,
                    values["commit"],
                    {path: HubFile(**file) for path, file in values["files"].items()},
                )
                for name, values in self._read().get(self.name, {}).items()
            }
        except (LookupError, TypeError, AttributeError) as error:
            raise BrokenFileError(
                f"{self.pins}: not as it was written ({error}); delete it to pin anew"
            ) from None


def _digest(path: Path, file: HubFile) -> str | None:
    """SHA-256 of a file if it is the one that the Hub tells of, else None."""
    if path.stat().st_size != file.size:
        return None
    found = sha256(path)
    same = found == file.sha256 if file.sha256 else _git_blob(path, file.size) == file.blob
    return found if same else None


def _git_blob(path: Path, size: int) -> str:
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
