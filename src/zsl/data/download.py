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
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import requests
from tqdm import tqdm

from zsl.config.sources import Remote
from zsl.errors import DataError
from zsl.files import CHUNK, read_json, sha256, write_json

TIMEOUT = (20, 60)
"""Seconds to wait for a connection, and for the next bytes."""


@dataclass(frozen=True)
class Patience:
    """How often an address is tried again without a byte of progress, and the first wait."""

    attempts: int = 5
    wait: float = 1.0
    """Seconds before the second attempt, doubled each time."""


PATIENCE = Patience()


@dataclass(frozen=True)
class Fetched:
    """A file that is here and is what was meant."""

    url: str
    path: Path
    size: int
    """Bytes."""
    sha256: str


class _WrongBytesError(Exception):
    """An address gave other bytes than expected, or none."""


def local_path(url: str) -> Path | None:
    """Path of a ``file://`` address, None for any other."""
    parts = urlsplit(url)
    return Path(url2pathname(unquote(parts.path))) if parts.scheme == "file" else None


def cached_name(url: str) -> str:
    """Name under which the file of an address is kept."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(urlsplit(url).path).name) or "file"
    return f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}"


def progress(total: int | None, what: str, initial: int = 0) -> tqdm[Any]:
    """A bar of bytes on stderr with rate and time left; quieter when nobody watches."""
    return tqdm(
        total=total,
        initial=initial,
        desc=what,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        file=sys.stderr,
        mininterval=0.2 if sys.stderr.isatty() else 10,
    )


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
    present = {remote.url: _present(remote, folder) for remote in distinct}
    missing = [remote for remote in distinct if present[remote.url] is None]
    if missing:
        sizes = remote_sizes(missing, patience=patience)
        here = sum(
            _part(remote, folder).stat().st_size
            for remote in missing
            if _part(remote, folder).exists()
        )
        _announce(sizes, here, folder, what)
        total = None if None in sizes else sum(size or 0 for size in sizes)
        with progress(total, what) as bar, ThreadPoolExecutor(workers) as pool:
            jobs = [pool.submit(_fetch, remote, folder, bar, patience) for remote in missing]
            try:
                for remote, job in zip(missing, jobs, strict=True):
                    present[remote.url] = job.result()
            except BaseException:
                for job in jobs:
                    job.cancel()
                raise
    found = [present[remote.url] for remote in remotes]
    return [fetched for fetched in found if fetched is not None]


def fetch(remote: Remote, folder: Path, *, patience: Patience = PATIENCE) -> Fetched:
    """Fetch one file; see :func:`fetch_all`."""
    name = Path(urlsplit(remote.url).path).name
    return fetch_all([remote], folder, what=name, patience=patience)[0]


def remote_sizes(
    remotes: Iterable[Remote], *, workers: int = 16, patience: Patience = PATIENCE
) -> list[int | None]:
    """Size in bytes of each file as its server tells it, None where it does not."""

    def size(remote: Remote) -> int | None:
        answers = (_size(url, patience) for url in [remote.url, *remote.mirrors])
        return next((answer for answer in answers if answer is not None), None)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(size, remotes))


def _size(url: str, patience: Patience) -> int | None:
    path = local_path(url)
    if path is not None:
        return path.stat().st_size if path.exists() else None
    for attempt in range(patience.attempts):
        try:
            answer = requests.head(
                url, allow_redirects=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"}
            )
        except requests.RequestException:
            time.sleep(patience.wait * 2**attempt)
            continue
        length = answer.headers.get("Content-Length", "")
        return int(length) if answer.ok and length.isdigit() else None
    return None


def _announce(sizes: list[int | None], here: int, folder: Path, what: str) -> None:
    known = sum(size or 0 for size in sizes)
    unknown = sizes.count(None)
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


def _part(remote: Remote, folder: Path) -> Path:
    return folder / f"{cached_name(remote.url)}.part"


def _record(remote: Remote, folder: Path) -> Path:
    return folder / f"{cached_name(remote.url)}.json"


def _expected(remote: Remote, folder: Path) -> str | None:
    record = _record(remote, folder)
    return remote.sha256 or (read_json(record)["sha256"] if record.exists() else None)


def _present(remote: Remote, folder: Path) -> Fetched | None:
    path = folder / cached_name(remote.url)
    expected = _expected(remote, folder)
    if not path.exists() or expected is None or sha256(path) != expected:
        return None
    return Fetched(remote.url, path, path.stat().st_size, expected)


def _fetch(remote: Remote, folder: Path, bar: tqdm[Any], patience: Patience) -> Fetched:
    """Try each address in turn until one gives the expected bytes."""
    part, reasons = _part(remote, folder), []
    for url in [remote.url, *remote.mirrors]:
        counted = bar.n
        try:
            _download(url, part, remote.sha256 is not None, bar, patience)
            return _accept(remote, url, folder)
        except _WrongBytesError as error:
            reasons.append(f"{url}: {error}")
            bar.update(counted - bar.n if len(reasons) else 0)
    raise DataError(
        "cannot fetch "
        + "; ".join(reasons)
        + "; check the address and its digest, or add a mirror. What was fetched is kept"
    )


def _accept(remote: Remote, url: str, folder: Path) -> Fetched:
    part = _part(remote, folder)
    expected, got, size = _expected(remote, folder), sha256(part), part.stat().st_size
    if expected is not None and got != expected:
        part.unlink()
        whose = "declared" if remote.sha256 else "recorded when it was first fetched"
        raise _WrongBytesError(f"expected sha256 {expected} ({whose}), got {got} ({size} bytes)")
    path = folder / cached_name(remote.url)
    write_json(
        _record(remote, folder), {"url": remote.url, "from": url, "size": size, "sha256": got}
    )
    part.replace(path)
    _origin_file(part).unlink(missing_ok=True)
    return Fetched(remote.url, path, size, got)


def _origin_file(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _download(url: str, part: Path, digest_known: bool, bar: tqdm[Any], patience: Patience) -> None:
    """Bring ``part`` to its full length, going on where an earlier attempt stopped."""
    source = local_path(url)
    if source is not None:
        if not source.is_file():
            raise _WrongBytesError("no such file")
        shutil.copyfile(source, part)
        bar.update(part.stat().st_size)
        return
    origin = read_json(_origin_file(part)) if _origin_file(part).exists() else {}
    if origin.get("url") != url and not digest_known:
        part.unlink(missing_ok=True)  # parts of two addresses must not be mixed unchecked
    failures = 0
    bar.update(part.stat().st_size if part.exists() else 0)
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            if _attempt(url, part, bar):
                return
            reason = "the connection closed before the end"
        except (requests.RequestException, OSError) as error:
            reason = type(error).__name__ + f" ({error})"
        after = part.stat().st_size if part.exists() else 0
        failures = 1 if after > before else failures + 1
        if failures >= patience.attempts:
            raise _WrongBytesError(f"{reason}; gave up after {failures} attempts at byte {after}")
        time.sleep(patience.wait * 2 ** (failures - 1))


def _attempt(url: str, part: Path, bar: tqdm[Any]) -> bool:
    """One request; True when the file is complete."""
    have = part.stat().st_size if part.exists() else 0
    origin = read_json(_origin_file(part)) if _origin_file(part).exists() else {}
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if origin.get("url") == url and origin.get("validator"):
            headers["If-Range"] = origin["validator"]
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        total = _total(answer, have)
        if answer.status_code == 416:  # nothing beyond what is here
            if total == have:
                return True
            bar.update(-have)
            part.unlink()
            return False
        if not answer.ok:
            raise _WrongBytesError(f"the server answered {answer.status_code} {answer.reason}")
        if have and (answer.status_code != 206 or _range_start(answer) != have):
            bar.update(-have)  # no ranges here, or another file than before: from the start
            part.unlink()
            if answer.status_code == 206:
                return False
        etag = answer.headers.get("ETag", "")
        validator = (
            answer.headers.get("Last-Modified") if etag.startswith("W/") or not etag else etag
        )
        write_json(_origin_file(part), {"url": url, "validator": validator})
        with part.open("ab") as file:
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    return total is None or part.stat().st_size == total


def _range_start(answer: requests.Response) -> int | None:
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _total(answer: requests.Response, have: int) -> int | None:
    """Size of the whole file according to an answer."""
    match = re.search(r"/(\d+)$", answer.headers.get("Content-Range", ""))
    if match:
        return int(match[1])
    length = answer.headers.get("Content-Length", "")
    if not length.isdigit():
        return None
    return int(length) + (have if answer.status_code == 206 else 0)
