"""A suite of checkpoints is what it says, or what is wrong with it is named.

Most shows in a listing of the Hub, before a byte of weights is fetched: the digests of all large
files are in it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from zsl.checkpoints.errors import CheckpointError, MovedError, UnreachableError
from zsl.checkpoints.faults import of_configs, of_listing, of_weights
from zsl.checkpoints.formats import TOKENIZERS, format_of
from zsl.checkpoints.hub import COMMIT, Repository, Revision
from zsl.checkpoints.members import Bring, Fault, File, Member, Suite
from zsl.checkpoints.patterns import by_run, by_step, some
from zsl.errors import BrokenFileError
from zsl.files import sha256

WORKERS = 8
"""Listings asked for at a time."""


def hub_suite(
    repository: Repository,
    pattern: str | Mapping[int, str],
    *,
    expected: Iterable[int] = (),
    weights: bool = False,
) -> Suite:
    """List and check the checkpoints of a repository.

    ``pattern`` has ``{step}`` and may have ``{run}``, or names the revision, or
    commit, of each step.
    ``expected``: steps that each run should have. ``weights``: fetch each checkpoint, look at its
    weights and drop it, one at a time. Commits and digests are pinned. Raises CheckpointError
    where there is nothing to list.
    """
    revisions: dict[str, Revision] = {}
    commits = [] if isinstance(pattern, str) else filter(COMMIT.fullmatch, pattern.values())
    found, missing = _named(pattern, [*repository.names(), *commits], repository.name)

    def member(run: str, step: int, name: str) -> Member | Fault:
        try:
            revision = revisions[name] = repository.revision(name)
            form = format_of(revision.files, f"{repository.name} at {name}")
        except UnreachableError:
            raise
        except CheckpointError as error:
            moved = isinstance(error, MovedError)
            return Fault("moved revision" if moved else "unreadable", run, (step,), str(error))
        files = {path: File(file.size, file.digest) for path, file in revision.files.items()}
        return Member(run, step, name, revision.commit, form, files)

    def bring(one: Member, names: tuple[str, ...], work: Path) -> Path:
        repository.fetch(revisions[one.name], names, work / "checkpoint")
        return work / "checkpoint"

    places = [(run, step, name) for run, steps in found.items() for step, name in steps.items()]
    with ThreadPoolExecutor(WORKERS) as pool:
        listed = list(pool.map(lambda place: member(*place), places))
    repository.pin()
    return _check(_suite(repository.name, listed, missing), expected, bring, weights)


def folder_suite(
    folder: Path,
    pattern: str | Mapping[int, str],
    *,
    expected: Iterable[int] = (),
    weights: bool = False,
) -> Suite:
    """List and check the checkpoints in the folders of ``folder``; see :func:`hub_suite`."""
    names = [path.name for path in folder.iterdir() if path.is_dir()]
    found, missing = _named(pattern, names, folder.name)

    def member(run: str, step: int, name: str) -> Member | Fault:
        try:
            paths = {path.name: path for path in (folder / name).iterdir() if path.is_file()}
            form = format_of(paths, str(folder / name))
            wanted = {*form.files, *TOKENIZERS} & paths.keys()
            files = {n: File(paths[n].stat().st_size, sha256(paths[n])) for n in sorted(wanted)}
        except (CheckpointError, BrokenFileError) as error:
            return Fault("unreadable", run, (step,), str(error))
        return Member(run, step, name, None, form, files)

    def bring(one: Member, names: tuple[str, ...], work: Path) -> Path:
        return folder / one.name

    listed = [member(run, s, name) for run, steps in found.items() for s, name in steps.items()]
    return _check(_suite(str(folder), listed, missing), expected, bring, weights)


def _named(
    pattern: str | Mapping[int, str], names: list[str], run: str
) -> tuple[dict[str, dict[int, str]], list[Fault]]:
    """Names by run and step, and those of a map that are not there."""
    if isinstance(pattern, str):
        if found := by_run(pattern, names, run=run):
            return found, []
        raise CheckpointError(f"{run}: no name is {pattern!r}; there are {some(sorted(names))}")
    there = {step: name for step, name in pattern.items() if name in names}
    missing = [
        Fault("missing step", run, (step,), f"there is no {name!r}")
        for step, name in pattern.items()
        if name not in names
    ]
    return {run: by_step(there, names)}, missing


def _suite(where: str, listed: list[Member | Fault], missing: list[Fault]) -> Suite:
    members = [one for one in listed if isinstance(one, Member)]
    return Suite(where, members, [*missing, *(one for one in listed if isinstance(one, Fault))])


def _check(suite: Suite, expected: Iterable[int], bring: Bring, weights: bool) -> Suite:
    suite.faults += of_listing(suite, set(expected))
    with tempfile.TemporaryDirectory(prefix="zsl-suite-") as work:
        suite.faults += of_configs(suite, bring, Path(work))
        if weights:
            suite.faults += of_weights(suite, bring, Path(work))
    suite.faults.sort(key=lambda fault: (fault.run, fault.steps, fault.kind))
    return suite
