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
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from zsl.config.sources import Remote
from zsl.errors import BrokenFileError, DataError
from zsl.files import CHUNK, read_json, sha256, write_json

NAME = 128
"""Most characters of an address' name that are kept, its last ones: suffixes say the format."""
ATTEMPTS = 5
"""How often an address is tried without a byte of progress; the waits between double."""
TIMEOUT = (20, 60)
"""Seconds to wait for a connection, and for the next bytes."""
PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which a further attempt may succeed."""
HEADERS = {"Accept-Encoding": "identity"}
"""Bytes as they are stored, so that sizes, ranges and digests mean the file."""


class TransferError(Exception):
    """An address does not give the file."""


@dataclass(frozen=True)
class Fetched:
    """A file that is here and is what was meant."""

    url: str
    path: Path
    size: int
    """Bytes."""
    sha256: str


Arrived = Callable[[int], None]
"""Told of bytes as they arrive; raises TransferError where they are not wanted any more."""


def fetch(remote: Remote, folder: Path) -> Fetched:
    """Fetch one file; see :func:`fetch_all`."""
    return fetch_all([remote], folder, what=Path(urlsplit(remote.url).path).name)[0]


def fetch_all(
    remotes: Sequence[Remote], folder: Path, *, what: str, workers: int = 4
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
        total = _announce(missing, folder, what)
        stop = threading.Event()
        with _byte_bar(total, what) as bar, ThreadPoolExecutor(workers) as pool:

            def arrived(count: int) -> None:
                bar.update(count)
                if stop.is_set():
                    raise TransferError("stopped because another file failed")

            jobs = [pool.submit(_fetch, remote, folder, arrived) for remote in missing]
            try:
                for remote, job in zip(missing, jobs, strict=True):
                    found[remote.url] = job.result()
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    results = [found[remote.url] for remote in remotes]
    return [fetched for fetched in results if fetched is not None]


def remote_sizes(remotes: Iterable[Remote], *, workers: int = 16) -> list[int | None]:
    """Size in bytes of each file as its server tells it, None where none does."""
    again = Retry(ATTEMPTS - 1, backoff_factor=1, status_forcelist=PASSING, raise_on_status=False)

    def size(url: str) -> int | None:
        if (path := local_path(url)) is not None:
            return path.stat().st_size if path.is_file() else None
        with requests.Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(max_retries=again))
            try:
                answer = session.head(url, headers=HEADERS, timeout=TIMEOUT, allow_redirects=True)
            except (OSError, HTTPError):
                return None
        return _number(answer.headers.get("Content-Length", "")) if answer.ok else None

    def first(remote: Remote) -> int | None:
        sizes = map(size, [remote.url, *remote.mirrors])
        return next((found for found in sizes if found is not None), None)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(first, remotes))


def cached_name(url: str) -> str:
    """Name under which the file of an address is kept."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(urlsplit(url).path).name)[-NAME:] or "file"
    return f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}"


def _announce(missing: list[Remote], folder: Path, what: str) -> int | None:
    """Say what is to be fetched; the total in bytes, None if a server does not tell."""
    sizes = remote_sizes(missing)
    here = sum(_size(_beside(remote, folder, ".part")) for remote in missing)
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
    return None if unknown else known - here


def _byte_bar(total: int | None, what: str) -> tqdm[Any]:
    """A bar of bytes on stderr with rate and time left; quieter when nobody watches."""
    wait = 0.2 if sys.stderr.isatty() else 10
    return tqdm(
        total=total, desc=what, unit="B", unit_scale=True, unit_divisor=1024, mininterval=wait
    )


def _fetch(remote: Remote, folder: Path, arrived: Arrived) -> Fetched:
    """Try each address in turn until one gives the expected bytes."""
    reasons = []
    for url in [remote.url, *remote.mirrors]:
        try:
            part = _beside(remote, folder, ".part")
            _transfer(url, part, arrived, checked=remote.sha256 is not None)
            return _accept(remote, url, folder)
        except TransferError as error:
            reasons.append(f"{url}: {error}")
    raise DataError(
        f"cannot fetch {'; '.join(reasons)}; check the address, its digest and the network, or "
        "add a mirror. What was fetched is kept and not fetched again"
    )


def _transfer(url: str, part: Path, arrived: Arrived, *, checked: bool) -> None:
    """Bring ``part`` to its full length, going on where an earlier attempt stopped.

    ``checked``: a digest will tell whether it is whole where the answer does not. Raises
    TransferError when the address does not answer or lacks the file.
    """
    if (source := local_path(url)) is not None:
        if not source.is_file():
            raise TransferError("no such file")
        shutil.copyfile(source, part)
        return
    failures, reason = 0, ""
    while failures < ATTEMPTS:
        time.sleep(2 ** (failures - 1) if failures else 0)
        before = _size(part)
        try:
            if _attempt(url, part, arrived, checked=checked):
                return
            reason = "the connection closed before the end"
        except (OSError, HTTPError) as error:
            reason = f"{type(error).__name__} ({error})"
        failures = 1 if _size(part) > before else failures + 1
    raise TransferError(f"{reason}; gave up after {failures} attempts at byte {_size(part)}")


def _attempt(url: str, part: Path, arrived: Arrived, *, checked: bool) -> bool:
    """One request; True when the file is complete. A part that another address gave, or an
    earlier state of the file, is begun anew."""
    note = part.with_name(part.name + ".json")  # where the part comes from
    origin = _noted(note)
    have = _size(part) if origin.get("url") == url else 0
    headers = HEADERS | ({"Range": f"bytes={have}-"} if have else {})
    if have and origin.get("validator"):
        headers["If-Range"] = origin["validator"]
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        total = _total(answer)
        if answer.status_code in PASSING:
            answer.raise_for_status()
        if answer.status_code == 416:  # nothing is left to send, or less than is here
            if total != have:
                part.unlink(missing_ok=True)
            return total == have
        if not answer.ok:
            raise TransferError(f"the server answered {answer.status_code} {answer.reason!r:.80}")
        chunked = "chunked" in answer.headers.get("Transfer-Encoding", "").lower()
        if total is None and not checked and not chunked:
            raise TransferError("the server does not say how long the file is; give its sha256")
        goes_on = answer.status_code == 206
        span = answer.headers.get("Content-Range", "")
        if goes_on and not span.startswith(f"bytes {have}-"):
            raise TransferError(f"asked for bytes from {have}, got {span!r:.80}")
        write_json(note, {"url": url, "validator": _validator(answer)})
        here = have if goes_on else 0
        with part.open("ab" if goes_on else "wb") as file:
            while chunk := answer.raw.read1(CHUNK, decode_content=False):
                file.write(chunk)
                here += len(chunk)
                arrived(len(chunk))
    return total is None or here == total


def _accept(remote: Remote, url: str, folder: Path) -> Fetched:
    """Check a complete part, record it and give it its name."""
    part, expected = _beside(remote, folder, ".part"), _expected(remote, folder)
    got, size = sha256(part), part.stat().st_size
    if expected is not None and got != expected:
        part.unlink()
        whose = "declared" if remote.sha256 else "recorded when it was first fetched"
        raise TransferError(f"expected sha256 {expected} ({whose}), got {got} ({size} bytes)")
    record = {"url": remote.url, "from": url, "size": size, "sha256": got}
    write_json(_beside(remote, folder, ".json"), record)
    path = part.replace(_beside(remote, folder, ""))
    _beside(remote, folder, ".part.json").unlink(missing_ok=True)
    return Fetched(remote.url, path, size, got)


def _present(remote: Remote, folder: Path) -> Fetched | None:
    """The file, if it is here with the expected digest."""
    path, expected = _beside(remote, folder, ""), _expected(remote, folder)
    if not path.exists() or expected is None or sha256(path) != expected:
        return None
    return Fetched(remote.url, path, path.stat().st_size, expected)


def _expected(remote: Remote, folder: Path) -> str | None:
    record = _beside(remote, folder, ".json")
    if remote.sha256 or not record.exists():
        return remote.sha256
    known = read_json(record)
    digest = known.get("sha256") if isinstance(known, dict) else None
    if not isinstance(digest, str):
        raise BrokenFileError(f"{record}: holds no sha256; delete it to fetch the file again")
    return digest


def _beside(remote: Remote, folder: Path, suffix: str) -> Path:
    return folder / f"{cached_name(remote.url)}{suffix}"


def local_path(url: str) -> Path | None:
    """Path of a ``file:`` address; None for others."""
    parts = urlsplit(url)
    return Path(url2pathname(unquote(parts.path))) if parts.scheme == "file" else None


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _noted(note: Path) -> dict[str, Any]:
    try:
        found = read_json(note) if note.exists() else {}
    except BrokenFileError:
        return {}
    return found if isinstance(found, dict) else {}


def _validator(answer: requests.Response) -> str | None:
    """What makes ``If-Range`` tell this file from a later one; weak tags do not."""
    tag = answer.headers.get("ETag", "W/")
    return answer.headers.get("Last-Modified") if tag.startswith("W/") else tag


def _total(answer: requests.Response) -> int | None:
    """Size of the whole file according to an answer, None where it is not told."""
    if answer.status_code == 200:
        return _number(answer.headers.get("Content-Length", ""))
    return _number(answer.headers.get("Content-Range", "").rpartition("/")[2])


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None
