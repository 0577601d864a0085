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
from zsl.lineage.history import ACCEPTED, CODE, HISTORY, LINEAGE, history_path
from zsl.lineage.store import Records

MAKE = "snakemake --cores all"
COPY = "install -DTm $(umask -S),a-x"
"""Copies to folders that are gone, and replaces a link instead of writing through it."""
LISTED = 8
"""Files of which a new copy is needed that are named; more are counted."""
KEPT = {name: f"{LINEAGE}/{name}" for name in (HISTORY, CODE, ACCEPTED)}


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
    """What a command has to know; ``results`` is the folder of the results as it was named."""
    records = audit.records
    assert records is not None
    jobs = {path: r.path for r in records.history.values() for path in (r.path, *r.outputs)}
    jobs |= {path: record.path for path, record in records.makers.items()}
    here = audit.planned and records.results.resolve() == (project / records.start).resolve()
    folder = f"{results}/" if results else f"results/{records.results.name}/"
    wrong = [f for f in audit.findings if f.kind == "record" and not f.fine]
    good = {f.path: path for f in wrong if (path := _good(f.path, records, project, folder))}
    left = {f.path: f.status for f in wrong if f.path not in good}
    lost = {path for path in left if _is_lost(path, records)}
    extra = {
        path
        for path, status in left.items()
        if status != "missing" and path not in jobs and path not in lost
        if here or not path.startswith(KEPT[CODE]) or not _modules(path, records)
    }
    start = records.start if here else None
    return Place(jobs, folder, start, good, frozenset(extra), frozenset(lost), options)


def _good(path: str, records: Records, project: Path, folder: str) -> str | None:
    """The file that has the bytes that a record, its copy, or a kept source should have."""
    if path.startswith(f"{KEPT[HISTORY]}/"):
        current = (p for p, r in records.current.items() if history_path(r.sha256) == path)
        return next((folder + p for p in current), None)
    if path.startswith(f"{KEPT[CODE]}/"):
        return next(_sources(path, records, project), None)
    last, now = records.written.get(path), records.current.get(path)
    link = (records.results / path).is_symlink()
    if last and (now is None or now.sha256 != last.sha256 or link):
        return folder + history_path(last.sha256)
    return None


def _sources(path: str, records: Records, project: Path) -> Iterator[str]:
    """Files of the project that are the source that records name by a digest."""
    for name in _modules(path, records):
        try:
            if digest_of(name, project) == Path(path).stem:
                yield path_of(name, project).relative_to(project).as_posix()
        except (ZslError, OSError, ValueError):
            continue


def _modules(path: str, records: Records) -> list[str]:
    """Names that records give a kept source."""
    items = (item for record in records.current.values() for item in record.modules.items())
    return [*dict.fromkeys(name for name, digest in items if digest == Path(path).stem)]


def _is_lost(path: str, records: Records) -> bool:
    """Whether nothing makes a file again that has no good copy here."""
    if path in {LINEAGE, *KEPT.values()}:
        return True  # a link
    if _is_accepted(path):
        return Path(path).stem.isdigit()
    known = [*records.history.values(), *records.current.values()]
    named = (entry["record"] for r in known for entry in r.inputs if "record" in entry)
    return path in map(history_path, named)


def _is_accepted(path: str) -> bool:
    return path.startswith(f"{KEPT[ACCEPTED]}/")


def command(audit: Audit, place: Place) -> str:
    """The command, empty where nothing can or needs to be mended by one.

    A record that was edited or deleted is brought back from the history, and a copy there from
    the current record: what they are of may have taken weeks, and need not be made again. Where
    records are lost, files that nobody declares may be theirs, and none is removed.

    What another user has closed makes nothing again, and no command trains what is not shown to be
    damaged or missing: where there is such a thing, Snakemake is not called at all.
    """
    if shut := audit.of("unreadable"):
        return f"# {'; '.join(dict.fromkeys(f.details[0] for f in shut))}; then audit again"
    lost = [f.path for f in audit.findings if f.path in place.lost and not _is_accepted(f.path)]
    if lost:
        return (
            f"# bring back a copy of {_some(lost)}, which nothing else does; "
            "without one, all results have to be made anew"
        )
    rest = [f for f in audit.findings if _to_be_made(f, place)]
    removed = [] if any(f.kind == "record" for f in rest) else _removed(audit, place)
    steps = [*_packages(audit), *removed, *_brought_back(audit, place)]
    said = _left_to_you(audit, rest, place)
    if rest and place.start is None:
        said = f"Snakemake makes nothing in {place.folder}: bring a new copy of "
        said += _some([f.path for f in rest])
    if said:
        return f"{' && '.join(steps)}  # {' '.join(said.split())}".strip()
    if audit.untold and place.start is not None:  # tell of what is fine before it is made again
        told = " ".join(map(quote, audit.untold))
        steps.append(f"{MAKE} --touch --forceall {told}{place.options}")
    return " && ".join([*steps, *_made(rest, place)])


def _to_be_made(finding: Finding, place: Place) -> bool:
    if finding.path in {*place.good, *place.extra, *place.lost} or finding.kind == "source":
        return False
    if finding.status == "stale":  # a page that names a record as it was is fine with it back
        brought_back = finding.changes and all(c.name in place.good for c in finding.changes)
        return not finding.accepted and not brought_back
    added = finding.extra and not finding.lost
    return finding.status in ("altered", "missing", "unknown") and not added


def _left_to_you(audit: Audit, rest: Sequence[Finding], place: Place) -> str:
    """What is said where Snakemake would train what is not shown to be damaged or missing."""
    damaged = {f.path for f in audit.findings if f.status in ("altered", "missing") and f.lost}
    folders = [(finding, _checkpoints(finding, place)) for finding in rest]
    whole = [(finding, folder) for finding, folder in folders if folder and folder not in damaged]
    gone = [
        f"{LINEAGE}/{folder}.json" if finding.status == "unknown" else finding.path
        for finding, folder in whole
        if finding.status != "stale"
    ]
    if gone:
        return (
            f"bring back a copy of {_some(gone)}: the checkpoints are not shown to be damaged, and "
            "nothing but training again makes it"
        )
    if whole:
        stale = _some([folder for _, folder in whole])
        trains = f"`{MAKE} all{place.options}` trains them again"
        return (
            f"{stale}: their checkpoints are those recorded; {trains} with the code and settings "
            "of now, `zsl accept` keeps them, with your reason"
        )
    return ""


def _checkpoints(finding: Finding, place: Place) -> str:
    """The folder of checkpoints of the training that made an artifact, empty where none did."""
    job = place.jobs.get(finding.path, "")
    if job.startswith(f"{LINEAGE}/training/"):
        return job.removeprefix(f"{LINEAGE}/").removesuffix(".json")
    if finding.path.startswith("training/"):
        return re.sub(r"(?<=/[0-9]{8}-[0-9]{8})\..*", "", finding.path)
    return ""


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


def _made(rest: Sequence[Finding], place: Place) -> list[str]:
    """Jobs, by one artifact of each, and then whatever shows it, such as the report's page.

    All are listed, however many: those of their rules that are fine may have taken weeks, too.
    """
    one_of: dict[str, str] = {}
    for f in rest:
        if f.status != "stale" and (f.path in place.jobs or f.status == "unknown"):
            one_of.setdefault(place.jobs.get(f.path, f.path), f.path)
    listed = " ".join(quote(f"{place.start}{path}") for path in one_of.values())
    forced = [f"{MAKE} --force {listed}{place.options}"] if one_of else []
    return [*forced, f"{MAKE} all{place.options}"] if rest else []


def _packages(audit: Audit) -> list[str]:
    """Packages whose files are not those that were read."""
    altered = [f.path for f in audit.of("altered") if f.kind == "source"]
    found = (re.match(r"([A-Za-z0-9._-]+) ([^\s:]+): ", path) for path in altered)
    named = {f"{match[1]}=={match[2]}" for match in found if match}
    return [f"pip install --force-reinstall --no-deps {name}" for name in sorted(named)]


def _some(paths: Sequence[str]) -> str:
    paths = [*dict.fromkeys(paths)]
    more = f" and {len(paths) - LISTED} more" if len(paths) > LISTED else ""
    return ", ".join(paths[:LISTED]) + more
