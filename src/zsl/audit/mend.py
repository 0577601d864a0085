"""The one command that mends what an audit found, in the folder that was audited.

Names of files may be anything, and the command is there to be copied: each is quoted for a shell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from zsl.audit.findings import Audit, Finding
from zsl.errors import ZslError
from zsl.lineage.fingerprint import digest_of, path_of
from zsl.lineage.history import ACCEPTED, CODE, HISTORY, LINEAGE
from zsl.lineage.store import Record, Records, read_records

MAKE = "snakemake --cores all"
COPY = "install -DTm $(umask -S),a-x"
"""Copies to folders that are gone, and replaces a link instead of writing through it."""
LISTED = 8
"""Files of which a new copy is needed that are named; more are counted."""


@dataclass(frozen=True)
class Place:
    """What a command has to know of the results."""

    jobs: Mapping[str, str]
    """Path of the record of the job that made it, by path of artifact or record."""
    folder: str
    """The folder that was audited, with ``/``."""
    start: str | None
    """The same as Snakemake names it; None where it makes nothing there, as in a copy."""
    good: Mapping[str, str]
    """Of records and kept sources that are wrong: the file that has the right bytes, by path."""
    extra: frozenset[str] = frozenset()
    """Those that nothing needs."""
    lost: frozenset[str] = frozenset()
    """Those that nothing brings back."""
    options: str = ""
    """What follows every call of Snakemake."""


def place_of(audit: Audit, project: Path, results: Path | None, options: str) -> Place:
    """What a command has to know; ``results`` is the folder of the results as it was named.

    Raises AuditError where there are no records any more.
    """
    records = read_records(Path(audit.results))
    jobs = {path: r.path for r in records.history.values() for path in (r.path, *r.outputs)}
    jobs |= {path: record.path for path, record in records.makers.items()}
    start = f"results/{records.experiment}/"
    here = audit.planned and records.results.resolve() == (project / start).resolve()
    folder = f"{results}/" if results else f"results/{records.results.name}/"
    wrong = [f for f in audit.findings if f.kind == "record" and not f.fine]
    good = {f.path: path for f in wrong if (path := _good(f.path, records, project, folder))}
    left = {f.path for f in wrong if f.path not in good}
    lost = {path for path in left if _is_lost(path, records)}
    extra = {path for path in left - lost if _is_extra(path, records, here) and path not in jobs}
    extra -= {f.path for f in wrong if f.status == "missing"}
    return Place(
        jobs, folder, start if here else None, good, frozenset(extra), frozenset(lost), options
    )


def command(audit: Audit, place: Place) -> str:
    """The command, empty where nothing can or needs to be mended by one.

    A record that was edited or deleted is brought back from the history, and a copy there from
    the current record: what they are of may have taken weeks, and need not be made again. Where
    records are lost, files that nobody declares may be theirs, and none is removed.

    What another user has closed makes nothing again, and no command trains what is not shown to be
    damaged or missing: where there is such a thing, Snakemake is not called at all.
    """
    if shut := [finding for finding in audit.findings if finding.status == "unreadable"]:
        return f"# {'; '.join(dict.fromkeys(f.details[0] for f in shut))}; then audit again"
    lost = [f for f in audit.findings if f.path in place.lost and not _is_accepted(f.path)]
    if lost:
        return (
            f"# bring back a copy of {_some([f.path for f in lost])}, which nothing else does; "
            "without one, all results have to be made anew"
        )
    rest = [f for f in audit.findings if _to_be_made(f, place)]
    removed = [] if any(f.kind == "record" for f in rest) else _removed(audit, place)
    steps = [*_packages(audit), *removed, *_brought_back(audit, place)]
    if rest and place.start is None:
        said = f"Snakemake makes nothing in {place.folder}: bring a new copy of "
        said += _some([f.path for f in rest])
    else:
        said = _left_to_you(audit, rest, place)
    if said:
        return f"{' && '.join(steps)}  # {' '.join(said.split())}".strip()
    return " && ".join([*steps, *_told(audit, place), *_made(rest, place, place.start or "")])


def _to_be_made(finding: Finding, place: Place) -> bool:
    if finding.path in {*place.good, *place.extra, *place.lost} or finding.kind == "source":
        return False
    if finding.status == "stale":  # a page that names a record as it was is fine with it back
        brought_back = finding.changes and all(c.name in place.good for c in finding.changes)
        return not finding.accepted and not brought_back
    if finding.extra and not finding.lost:
        return False
    return finding.status in ("altered", "missing", "unknown")


def _left_to_you(audit: Audit, rest: Sequence[Finding], place: Place) -> str:
    """What is said where Snakemake would train what is not shown to be damaged or missing."""
    again = {
        finding.path
        for finding in audit.findings
        if finding.status in ("altered", "missing") and finding.lost
    }
    folders = {finding.path: _checkpoints(finding, place) for finding in rest}
    whole = [f for f in rest if (folder := folders[f.path]) and folder not in again]
    gone = [
        f"{LINEAGE}/{folders[f.path]}.json" if f.status == "unknown" else f.path
        for f in whole
        if f.status != "stale"
    ]
    if gone:
        return (
            f"bring back a copy of {_some(gone)}: the checkpoints are not shown to be damaged, and "
            "nothing but training again makes it"
        )
    if whole:
        stale, trains = _some([str(folders[f.path]) for f in whole]), f"{MAKE} all{place.options}"
        return (
            f"{stale}: their checkpoints are those recorded; `{trains}` trains them again "
            "with the code and settings of now, `zsl accept` keeps them, with your reason"
        )
    return ""


def _checkpoints(finding: Finding, place: Place) -> str | None:
    """The folder of checkpoints of the training that made an artifact, None where none did."""
    job = place.jobs.get(finding.path)
    if job and job.startswith(f"{LINEAGE}/training/"):
        return job.removeprefix(f"{LINEAGE}/").removesuffix(".json")
    if finding.path.startswith("training/"):
        return re.sub(r"(?<=/[0-9]{8}-[0-9]{8})\..*", "", finding.path)
    return None


def _good(path: str, records: Records, project: Path, folder: str) -> str | None:
    """The file that has the bytes that a record, its copy, or a kept source should have."""
    digest = Path(path).stem
    if path.startswith(f"{LINEAGE}/{HISTORY}/"):
        current = (p for p, record in records.current.items() if record.sha256 == digest)
        return next((folder + p for p in current), None)
    if path.startswith(f"{LINEAGE}/{CODE}/"):
        return next(_sources(digest, records, project), None)
    last, now = records.written.get(path), records.current.get(path)
    link = (records.results / path).is_symlink()
    if last and (now is None or now.sha256 != last.sha256 or link):
        return f"{folder}{LINEAGE}/{HISTORY}/{last.sha256}.json"
    return None


def _sources(digest: str, records: Records, project: Path) -> Iterator[str]:
    """Files of the project that are the source that records name by a digest."""
    for name in _modules(digest, records):
        try:
            if digest_of(name, project) == digest:
                yield path_of(name, project).relative_to(project).as_posix()
        except (ZslError, OSError, ValueError):
            continue


def _modules(digest: str, records: Records) -> list[str]:
    modules = [r.content.get("code", {}).get("modules", {}) for r in records.current.values()]
    return [*dict.fromkeys(name for each in modules for name in each if each[name] == digest)]


def _is_lost(path: str, records: Records) -> bool:
    """Whether nothing makes a file again that has no good copy here."""
    if path in {LINEAGE, *(f"{LINEAGE}/{name}" for name in (HISTORY, CODE, ACCEPTED))}:
        return True  # a link
    if _is_accepted(path):
        return Path(path).stem.isdigit()
    known: list[Record] = [*records.history.values(), *records.current.values()]
    named = {entry.get("record") for record in known for entry in record.inputs}
    return path.startswith(f"{LINEAGE}/{HISTORY}/") and Path(path).stem in named


def _is_extra(path: str, records: Records, here: bool) -> bool:
    """Whether a file that nothing brings back can go: a job that runs again keeps code anew."""
    is_code = path.startswith(f"{LINEAGE}/{CODE}/")
    return here or not is_code or not _modules(Path(path).stem, records)


def _is_accepted(path: str) -> bool:
    return path.startswith(f"{LINEAGE}/{ACCEPTED}/")


def _removed(audit: Audit, place: Place) -> list[str]:
    paths = [
        path
        for f in audit.findings
        for path in (f.extra or [f.path])
        if f.extra or f.status == "unrecorded" or f.path in place.extra
    ]
    quoted = [quote(place.folder + path) for path in dict.fromkeys(paths)]
    return [f"rm {' '.join(quoted)}"] if quoted else []


def _brought_back(audit: Audit, place: Place) -> list[str]:
    paths = dict.fromkeys(f.path for f in audit.findings if f.path in place.good)
    return [f"{COPY} {quote(place.good[p])} {quote(place.folder + p)}" for p in paths]


def _told(audit: Audit, place: Place) -> list[str]:
    """Tell Snakemake of what is fine, and would be made again because it does not know."""
    if not audit.untold or place.start is None:
        return []
    return [f"{MAKE} --touch --forceall {' '.join(map(quote, audit.untold))}{place.options}"]


def _made(rest: Sequence[Finding], place: Place, start: str) -> list[str]:
    """Jobs, by one artifact of each, and then whatever shows it, such as the report's page.

    All are listed, however many: those of their rules that are fine may have taken weeks, too.
    """
    if not rest:
        return []
    again = [
        f.path
        for f in rest
        if f.status != "stale" and (f.path in place.jobs or f.status == "unknown")
    ]
    one_of: dict[str, str] = {}
    for path in again:
        one_of.setdefault(place.jobs.get(path, path), path)
    listed = " ".join(quote(start + path) for path in one_of.values())
    forced = [f"{MAKE} --force {listed}{place.options}"] if again else []
    return [*forced, f"{MAKE} all{place.options}"]


def _some(paths: Sequence[str]) -> str:
    paths = [*dict.fromkeys(paths)]
    more = f" and {len(paths) - LISTED} more" if len(paths) > LISTED else ""
    return ", ".join(paths[:LISTED]) + more


def _packages(audit: Audit) -> list[str]:
    """Packages whose files are not those that were read."""
    found = set()
    for finding in audit.findings:
        match = re.match(r"([A-Za-z0-9._-]+) ([^\s:]+): ", finding.path)
        if finding.kind == "source" and finding.status == "altered" and match:
            found.add(f"pip install --force-reinstall --no-deps {match[1]}=={match[2]}")
    return sorted(found)
