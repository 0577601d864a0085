"""Files fetched over HTTP: resumed, checked, recorded.

A file ends up in a folder as ``<digest of its address>-<name>`` with a small JSON record beside
it: address, size, SHA-256. Until then it is ``....part``, which a later call goes on with. The
digest expected is the declared one, else the one recorded when the file was first fetched.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from zsl.config.sources import Remote
from zsl.data.transfer import (
    PATIENCE,
    Patience,
    Progress,
    TransferError,
    byte_bar,
    origin_file,
    remote_size,
    transfer,
)
from zsl.errors import BrokenFileError, DataError
from zsl.files import read_json, sha256, write_json

NAME = 128
"""Most characters of an address' name that are kept, its last ones: suffixes say the format."""


@dataclass(frozen=True)
class Fetched:
    """A file that is here and is what was meant."""

    url: str
    path: Path
    size: int
    """Bytes."""
    sha256: str


def fetch(remote: Remote, folder: Path, *, patience: Patience = PATIENCE) -> Fetched:
    """Fetch one file; see :func:`fetch_all`."""
    name = Path(urlsplit(remote.url).path).name
    return fetch_all([remote], folder, what=name, patience=patience)[0]


def fetch_all(
    remotes: Sequence[Remote],
    folder: Path,
    *,
    what: str,
    workers: int = 4,
    patience: Patience = PATIENCE,
) -> list[Fetched]:
    """Fetch files, ``workers`` at a time, in the order given; an address listed twice is
    fetched once.

    Says on stderr how much there is before the first byte. Raises DataError if the disk is too
    small, an address does not answer or the bytes are not those expected; what has been fetched
    stays and is not fetched again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    distinct = list({remote.url: remote for remote in remotes}.values())
    found = {remote.url: _present(remote, folder) for remote in distinct}
    missing = [remote for remote in distinct if found[remote.url] is None]
    if missing:
        total = _announce(missing, folder, what, patience)
        stop = threading.Event()
        with byte_bar(total, what) as bar, ThreadPoolExecutor(workers) as pool:
            jobs = [
                pool.submit(_fetch, remote, folder, Progress(bar, stop), patience)
                for remote in missing
            ]
            try:
                for remote, job in zip(missing, jobs, strict=True):
                    found[remote.url] = job.result()
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    results = [found[remote.url] for remote in remotes]
    return [fetched for fetched in results if fetched is not None]


def remote_sizes(
    remotes: Iterable[Remote], *, workers: int = 16, patience: Patience = PATIENCE
) -> list[int | None]:
    """Size in bytes of each file as its server tells it, None where none does."""

    def size(remote: Remote) -> int | None:
        answers = (remote_size(url, patience) for url in [remote.url, *remote.mirrors])
        return next((answer for answer in answers if answer is not None), None)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(size, remotes))


def _announce(missing: list[Remote], folder: Path, what: str, patience: Patience) -> int | None:
    """Say what is to be fetched; the total in bytes, None if a server does not tell."""
    sizes = remote_sizes(missing, patience=patience)
    parts = [_part(remote, folder) for remote in missing]
    here = sum(part.stat().st_size for part in parts if part.exists())
    known, unknown = sum(size or 0 for size in sizes), sizes.count(None)
    print(
        f"{what}: {len(sizes)} files to fetch, {known:,} bytes ({known / 2**30:.2f} GiB)"
        + (f" and {unknown} files of unknown size" if unknown else "")
        + (f", {here:,} bytes of them already here" if here else ""),
        file=sys.stderr,
        flush=True,
    )
    free = shutil.disk_usage(folder).free
    if known - here > free:
        raise DataError(
            f"{what}: {known - here:,} bytes to fetch into {folder}, but the disk has {free:,} "
            "bytes free; make room, or read a part of the files (subset_tokens)"
        )
    return None if unknown else known


def _fetch(remote: Remote, folder: Path, progress: Progress, patience: Patience) -> Fetched:
    """Try each address in turn until one gives the expected bytes."""
    reasons = []
    for url in [remote.url, *remote.mirrors]:
        try:
            mix = remote.sha256 is not None
            transfer(url, _part(remote, folder), mix=mix, progress=progress, patience=patience)
            return _accept(remote, url, folder)
        except TransferError as error:
            reasons.append(f"{url}: {error}")
    raise DataError(
        f"cannot fetch {'; '.join(reasons)}; check the address, its digest and the network, or "
        "add a mirror. What was fetched is kept and not fetched again"
    )


def _accept(remote: Remote, url: str, folder: Path) -> Fetched:
    """Check a complete part, record it and give it its name."""
    part, expected = _part(remote, folder), _expected(remote, folder)
    got, size = sha256(part), part.stat().st_size
    if expected is not None and got != expected:
        part.unlink()
        whose = "declared" if remote.sha256 else "recorded when it was first fetched"
        raise TransferError(f"expected sha256 {expected} ({whose}), got {got} ({size} bytes)")
    record = {"url": remote.url, "from": url, "size": size, "sha256": got}
    write_json(_record(remote, folder), record)
    path = part.replace(folder / cached_name(remote.url))
    origin_file(part).unlink(missing_ok=True)
    return Fetched(remote.url, path, size, got)


def cached_name(url: str) -> str:
    """Name under which the file of an address is kept."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(urlsplit(url).path).name)[-NAME:] or "file"
    return f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}"


def _part(remote: Remote, folder: Path) -> Path:
    return folder / f"{cached_name(remote.url)}.part"


def _record(remote: Remote, folder: Path) -> Path:
    return folder / f"{cached_name(remote.url)}.json"


def _expected(remote: Remote, folder: Path) -> str | None:
    record = _record(remote, folder)
    if remote.sha256 or not record.exists():
        return remote.sha256
    known = read_json(record)
    digest = known.get("sha256") if isinstance(known, dict) else None
    if not isinstance(digest, str):
        raise BrokenFileError(f"{record}: holds no sha256; delete it to fetch the file again")
    return digest


def _present(remote: Remote, folder: Path) -> Fetched | None:
    """The file, if it is here with the expected digest."""
    path, expected = folder / cached_name(remote.url), _expected(remote, folder)
    if not path.exists() or expected is None or sha256(path) != expected:
        return None
    return Fetched(remote.url, path, path.stat().st_size, expected)
