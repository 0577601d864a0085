"""The bytes of one address, brought into a file that grows until it is complete."""

from __future__ import annotations

import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import url2pathname

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from zsl.errors import BrokenFileError
from zsl.files import CHUNK, read_json, write_json

TIMEOUT = (20, 60)
"""Seconds to wait for a connection, and for the next bytes."""
WORTH_RETRYING = (408, 425, 429, 500, 502, 503, 504)
HEADERS = {"Accept-Encoding": "identity"}
"""Bytes as they are stored, so that sizes, ranges and digests mean the file."""
REDIRECTS = 10
"""Addresses that may be gone through to get to a file."""
SPARE = 1 << 28
"""Bytes of the disk that are left free: an answer need not say how long it is, or have an end."""


@dataclass(frozen=True)
class Patience:
    """How often an address is tried again without a byte of progress, and the first wait."""

    attempts: int = 5
    wait: float = 1.0
    """Seconds before the second attempt, doubled each time."""


PATIENCE = Patience()


class TransferError(Exception):
    """An address does not give the file."""


@dataclass
class Progress:
    """What one file has added to a bar of bytes shared by several."""

    bar: tqdm[Any]
    stop: threading.Event = field(default_factory=threading.Event)
    """Set to end the transfer between two chunks."""
    counted: int = 0

    def set(self, here: int) -> None:
        """Say how many bytes of the file are here."""
        self.bar.update(here - self.counted)
        self.counted = here
        if self.stop.is_set():
            raise TransferError("stopped because another file failed")


def byte_bar(total: int | None, what: str) -> tqdm[Any]:
    """A bar of bytes on stderr with rate and time left; quieter when nobody watches."""
    return tqdm(
        total=total,
        desc=what,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        file=sys.stderr,
        mininterval=0.2 if sys.stderr.isatty() else 10,
    )


def remote_size(url: str, patience: Patience = PATIENCE) -> int | None:
    """Size in bytes as the server tells it without sending the file; None if it does not."""
    path = _local_path(url)
    if path is not None:
        return path.stat().st_size if path.is_file() else None
    for attempt in range(patience.attempts):
        try:
            with _answer("HEAD", url, HEADERS) as answer:
                if answer.status_code not in WORTH_RETRYING:
                    return _number(answer.headers.get("Content-Length", "")) if answer.ok else None
        except (requests.RequestException, HTTPError, TransferError):
            pass
        if attempt + 1 < patience.attempts:
            time.sleep(patience.wait * 2**attempt)
    return None


def transfer(
    url: str, part: Path, *, mix: bool, progress: Progress, patience: Patience = PATIENCE
) -> None:
    """Bring ``part`` to its full length, going on where an earlier attempt stopped.

    ``mix``: bytes that another address gave may be continued, because the digest of the whole
    will be checked. Raises TransferError when the address does not answer or lacks the file.
    """
    source = _local_path(url)
    if source is not None:
        if not source.is_file():
            raise TransferError("no such file")
        shutil.copyfile(source, part)
        progress.set(_size(part))
        return
    if not mix and _origin(part).get("url") != url:
        part.unlink(missing_ok=True)
    failures = 0
    while True:
        before = _size(part)
        progress.set(before)
        try:
            if _attempt(url, part, progress, checked=mix):
                return
            reason = "the connection closed before the end"
        except (requests.RequestException, HTTPError, OSError) as error:
            reason = f"{type(error).__name__} ({error})"
        failures = 1 if _size(part) > before else failures + 1
        if failures >= patience.attempts:
            raise TransferError(f"{reason}; gave up after {failures} attempts at byte {before}")
        time.sleep(patience.wait * 2 ** (failures - 1))


def origin_file(part: Path) -> Path:
    """Where it is noted from which address a part comes, and what that address calls it."""
    return part.with_name(part.name + ".json")


def _attempt(url: str, part: Path, progress: Progress, *, checked: bool) -> bool:
    """One request; True when the file is complete.

    ``checked``: a digest will tell whether it is, where the answer does not say how long it is.
    """
    have, origin = _size(part), _origin(part)
    headers = dict(HEADERS)
    if have:
        headers["Range"] = f"bytes={have}-"
        if origin.get("url") == url and origin.get("validator"):
            headers["If-Range"] = origin["validator"]
    with _answer("GET", url, headers) as answer:
        total = _total(answer)
        if answer.status_code in WORTH_RETRYING:
            answer.raise_for_status()
        if answer.status_code == 416 and total != have:  # more is here than the file has
            part.unlink(missing_ok=True)
            return False
        if answer.status_code == 416:
            return True
        if not answer.ok:
            raise TransferError(f"the server answered {answer.status_code} {answer.reason!r:.80}")
        if total is None and not checked and not _has_end(answer):
            raise TransferError("the server does not say how long the file is; give its sha256")
        if have and answer.status_code != 206:  # no ranges here, or another file than before
            part.unlink()
        elif answer.status_code == 206 and _range_start(answer) != have:
            got = answer.headers.get("Content-Range")
            raise TransferError(f"asked for bytes from {have}, got {got!r:.80}")
        write_json(origin_file(part), {"url": url, "validator": _validator(answer)})
        here = _size(part)
        with part.open("ab") as file:
            while chunk := answer.raw.read1(CHUNK, decode_content=False):
                file.write(chunk)
                here += len(chunk)
                progress.set(here)
                _keep_spare(part, total)
    return total is None or here == total


class _Session(requests.Session):
    """Goes through no redirects: requests reads the bodies of these, which may have no end."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, as of an answer that is no redirect."""
        return None


@contextmanager
def _answer(method: str, url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
    """The answer of a server, redirects gone through, its body not read yet."""
    with _Session() as session:
        for _ in range(REDIRECTS):
            with session.request(
                method, url, headers=headers, stream=True, timeout=TIMEOUT
            ) as answer:
                if not answer.is_redirect:
                    yield answer
                    return
                place = answer.headers["Location"].encode("latin1").decode(errors="replace")
            try:
                url = urljoin(url, place)
            except ValueError as error:
                raise TransferError(f"the server redirects to {place!r:.200}: {error}") from None
            if not url.startswith(("http://", "https://")):
                raise TransferError(f"the server redirects to {url!r:.200}, which is on no server")
    raise TransferError(f"more than {REDIRECTS} redirects, the last one to {url!r:.200}")


def _keep_spare(part: Path, total: int | None) -> None:
    """End a transfer that fills the disk; one of unknown length leaves nothing behind."""
    if shutil.disk_usage(part.parent).free >= SPARE:
        return
    if total is None:
        part.unlink()
    raise TransferError(f"the disk has less than {SPARE:,} bytes free")


def _local_path(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(url2pathname(unquote(parts.path))) if parts.scheme == "file" else None


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _origin(part: Path) -> dict[str, Any]:
    path = origin_file(part)
    try:
        found = read_json(path) if path.exists() else {}
    except BrokenFileError:
        return {}
    return found if isinstance(found, dict) else {}


def _validator(answer: requests.Response) -> str | None:
    """What makes ``If-Range`` tell this file from a later one; weak tags do not."""
    tag = answer.headers.get("ETag", "W/")
    return answer.headers.get("Last-Modified") if tag.startswith("W/") else tag


def _range_start(answer: requests.Response) -> int | None:
    match = re.match(r"bytes (\d{1,18})-", answer.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _total(answer: requests.Response) -> int | None:
    """Size of the whole file according to an answer, None where it is not told."""
    match = re.search(r"/(\d{1,18})$", answer.headers.get("Content-Range", ""))
    if match:
        return int(match[1])
    whole = answer.status_code == 200
    return _number(answer.headers.get("Content-Length", "")) if whole else None


def _has_end(answer: requests.Response) -> bool:
    """Whether an answer without a length marks its end, lest a broken connection pass for it."""
    return "chunked" in answer.headers.get("Transfer-Encoding", "").lower()


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None
