"""Servers that redirect, never end, lie about sizes, or name files of this machine."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attacks import row, rows

KIND = "downloads"
DATA = b"some text\n" * 100
DIGEST = hashlib.sha256(DATA).hexdigest()
Answer = Callable[[Any], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET as ``answer`` says, and HEAD with the size of ``head`` bytes or without one."""

    answer: Answer
    head: int | None = None

    def do_GET(self) -> None:
        type(self).answer(self)

    def do_HEAD(self) -> None:
        self.say(200 if self.head else 405, {"Content-Length": str(self.head or 0)})

    def log_message(self, *_: Any) -> None:
        pass

    def say(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def serve(answer: Answer, head: int | None = None) -> str:
    """Start a server; its address."""
    made = type("Made", (Handler,), {"answer": staticmethod(answer), "head": head})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), made)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/"


def folder_of(project: Path) -> Path:
    """Where downloads are kept."""
    return project / "results" / "small" / "state" / "downloads"


def get(url: str, project: Path, sha256: str | None = None) -> None:
    from zsl.config.sources import Remote
    from zsl.data import download

    download.ATTEMPTS = 2
    found = download.fetch(Remote(url=url, sha256=sha256), folder_of(project))
    assert found.path.parent == folder_of(project)


def of_answer(answer: Answer, sha256: str | None, name: str, project: Path) -> Iterator[None]:
    """A file of a server that answers so. Nothing but what was fetched whole stays."""
    yield
    try:
        get(serve(answer) + name, project, sha256)
    finally:
        assert sum(path.stat().st_size for path in folder_of(project).rglob("*")) < 1 << 24


def redirect(place: str) -> Answer:
    return lambda handler: handler.say(302, {"Location": place, "Content-Length": "0"})


def whole(headers: dict[str, str], body: bytes = DATA, status: int = 200) -> Answer:
    length = {"Content-Length": str(len(body))}
    return lambda handler: handler.say(status, {**length, **headers}, body)


def squeezed(handler: Handler) -> None:
    """A decompression bomb that a browser would unpack."""
    body = gzip.compress(bytes(1 << 24)) * 50
    handler.say(200, {"Content-Encoding": "gzip", "Content-Length": str(len(body))}, body)


ANSWERS: dict[str, tuple[Answer, str | None, str]] = {
    "a redirect to a file of this machine": (
        redirect("file:///etc/hostname"),
        None,
        "No connection adapters were found for 'file:///etc/hostname'",
    ),
    "a redirect to itself": (redirect("/a.txt"), None, "Exceeded 30 redirects"),
    "other bytes than their digest": (whole({}), "0" * 64, f"got {DIGEST}"),
    "a size that is larger than the file": (
        whole({"Content-Length": "100000"}),
        None,
        "IncompleteRead",
    ),
    "a range that was not asked for": (
        whole({"Content-Range": "bytes 50-60/100", "Content-Length": "11"}, DATA[:11], 206),
        None,
        "asked for bytes from 0, got 'bytes 50-60/100'",
    ),
    "a reason with a terminal's escape sequence": (
        lambda handler: handler.wfile.write(b"HTTP/1.0 404 \x1b[2Jboo\r\n\r\n"),
        None,
        "the server answered 404 '\\x1b[2Jboo'",
    ),
    "100,000 headers": (
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000),
        None,
        "gave up after",
    ),
    "bytes that a browser would unpack into a gigabyte": (squeezed, "0" * 64, "expected sha256"),
}
rows(KIND, of_answer, {name: (a, sha, "a.txt", says) for name, (a, sha, says) in ANSWERS.items()})

HARMLESS: dict[str, tuple[Answer, None, str, None]] = {
    "an address that leads out of the folder": (
        whole({}),
        None,
        "..%2f..%2f..%2foutside%2fevil.txt",
        None,
    ),
    "an address of commands and 1,000 letters": (
        whole({}),
        None,
        "$(touch%20executed);`touch`|{run}" + "a" * 1000 + ".txt",
        None,
    ),
}
rows(KIND, of_answer, HARMLESS)


@row(KIND, "a size beyond the disk", "but the disk has")
def beyond(project: Path) -> Iterator[None]:
    yield
    get(serve(whole({}), head=10**17) + "a.txt", project)


def of_list(text: bytes, project: Path) -> Iterator[None]:
    """A list of shards that a server publishes."""
    from zsl.config.sources import MemmapSource
    from zsl.data.shards import remote_shards

    yield
    remote = {"url": serve(whole({}, text)) + "list.yaml"}
    source = MemmapSource.model_validate({"kind": "memmap", "shards": {"remote": remote}})
    remote_shards(source, folder_of(project))


LISTS: dict[str, tuple[bytes, str]] = {
    "a list of shards that names a file of this machine": (
        b"data: {paths: ['file:///etc/passwd']}",
        "names 'file:///etc/passwd', which is no address of a file on a server",
    ),
    "a list of shards with a tag that runs a command": (
        b"data: !!python/object/apply:os.system ['touch ../outside/executed']",
        "could not determine a constructor for the tag",
    ),
}
rows(KIND, of_list, LISTS)


@row(KIND, "a damaged note of what was fetched before", ".json: not JSON")
def note(project: Path) -> Iterator[None]:
    from zsl.data.download import cached_name

    url = serve(whole({})) + "a.txt"
    folder_of(project).mkdir(parents=True)
    (folder_of(project) / f"{cached_name(url)}.json").write_text("[" * 100_000)
    yield
    get(url, project)
