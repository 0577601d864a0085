"""Servers that redirect, never end, lie about sizes, or name files of this machine."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from attacks import add, row

KIND = "downloads"
DATA = b"some text\n" * 100
DIGEST = hashlib.sha256(DATA).hexdigest()
Answer = Callable[[Any], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET as ``answer`` says, and HEAD without a size."""

    answer: Answer
    head: Answer | None = None

    def do_GET(self) -> None:
        type(self).answer(self)

    def do_HEAD(self) -> None:
        if type(self).head:
            type(self).head(self)
        else:
            self.send_error(405)

    def log_message(self, *_: Any) -> None:
        pass

    def say(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def endless(handler: Handler) -> None:
    """Bytes until the reader has enough."""
    try:
        while True:
            handler.wfile.write(bytes(1 << 20))
    except OSError:
        handler.close_connection = True


def serve(answer: Answer, head: Answer | None = None) -> str:
    """Start a server; its address."""
    made = type("Made", (Handler,), {"answer": staticmethod(answer)})
    made.head = staticmethod(head) if head else None  # type: ignore[attr-defined]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), made)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/"


def get(url: str, project: Path, sha256: str | None = None) -> Any:
    from zsl.config.sources import Remote
    from zsl.data.download import fetch
    from zsl.data.transfer import Patience

    folder = project / "results" / "small" / "state" / "downloads"
    found = fetch(Remote(url=url, sha256=sha256), folder, patience=Patience(2, 0.01))
    assert found.path.parent == folder
    return found


def of_answer(answer: Answer, sha256: str | None, name: str, project: Path) -> Iterator[None]:
    """A file of a server that answers so. Nothing but what was fetched whole stays."""
    yield
    try:
        get(serve(answer) + name, project, sha256)
    finally:
        folder = project / "results" / "small" / "state" / "downloads"
        assert sum(path.stat().st_size for path in folder.rglob("*")) < 1 << 24


def redirect(place: str, body: Answer | None = None) -> Answer:
    def answer(handler: Handler) -> None:
        handler.say(302, {"Location": place})
        if body:
            body(handler)

    return answer


def whole(headers: dict[str, str], body: bytes = DATA, status: int = 200) -> Answer:
    length = {"Content-Length": str(len(body))}
    return lambda handler: handler.say(status, {**length, **headers}, body)


def unmeasured(handler: Handler) -> None:
    handler.say(200, {"Connection": "close"})
    endless(handler)


def squeezed(handler: Handler) -> None:
    """A decompression bomb that a browser would unpack."""
    body = gzip.compress(bytes(1 << 24)) * 50
    handler.say(200, {"Content-Encoding": "gzip", "Content-Length": str(len(body))}, body)


CUT = "the connection closed before the end"
ANSWERS: dict[str, tuple[Answer, str | None, str]] = {
    "a redirect to a file of this machine": (
        redirect("file:///etc/hostname"),
        None,
        "the server redirects to 'file:///etc/hostname'",
    ),
    "a redirect to another protocol": (redirect("ftp://example.org/a"), None, "redirects to 'ftp:"),
    "a redirect to nowhere": (redirect("http://127.0.0.1:1/"), None, "gave up after"),
    "a redirect to itself": (redirect("/a.txt"), None, "more than 10 redirects"),
    "a redirect whose body has no end": (
        redirect("/a.txt", endless),
        None,
        "more than 10 redirects",
    ),
    "a redirect to no address": (redirect("http://[::1"), None, "Invalid IPv6 URL"),
    "other bytes than their digest": (whole({}), "0" * 64, f"got {DIGEST}"),
    "a size that is larger than the file": (
        whole({"Content-Length": "100000"}),
        None,
        "IncompleteRead",
    ),
    "a size of 2^200": (
        whole({"Content-Length": str(1 << 200)}),
        None,
        "the server does not say how long the file is",
    ),
    "a size that is no number": (
        whole({"Content-Length": "\xb2"}),
        DIGEST[::-1],
        "expected sha256",
    ),
    "a range that was not asked for": (
        whole({"Content-Range": "bytes 50-60/100", "Content-Length": "11"}, DATA[:11], 206),
        None,
        "asked for bytes from 0, got 'bytes 50-60/100'",
    ),
    "a range that cannot be had, for ever": (
        whole({"Content-Range": "bytes */5"}, b"", 416),
        None,
        CUT,
    ),
    "a reason with a terminal's escape sequence": (
        lambda handler: handler.wfile.write(b"HTTP/1.0 404 \x1b[2Jboo\r\n\r\n"),
        None,
        "the server answered 404 '\\x1b[2Jboo'",
    ),
    "no HTTP": (lambda handler: handler.wfile.write(b"\x00\xff" * 100), None, "gave up after"),
    "an answer that is cut off": (
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-"),
        None,
        "the server does not say how long the file is",
    ),
    "100,000 headers": (
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000),
        None,
        "gave up after",
    ),
    "bytes that a browser would unpack into a gigabyte": (squeezed, "0" * 64, "expected sha256"),
}
for name, (answer, sha256, says) in ANSWERS.items():
    add(KIND, name, partial(of_answer, answer, sha256, "a.txt"), says)


@row(KIND, "a file without an end on a disk that is nearly full", "bytes free")
def full(project: Path) -> Iterator[None]:
    from zsl.data import transfer

    yield
    transfer.SPARE = 1 << 62  # more than any disk has
    yield from of_answer(unmeasured, DIGEST, "a.txt", project)


@row(KIND, "a size beyond the disk", "but the disk has")
def beyond(project: Path) -> Iterator[None]:
    size = {"Content-Length": str(10**17)}
    yield
    get(serve(whole(size, b""), lambda handler: handler.say(200, size)) + "a.txt", project)


HARMLESS: dict[str, tuple[Answer, str]] = {
    "a name of the server's that leads out of the folder": (
        whole({"Content-Disposition": 'attachment; filename="../../../../outside/evil.txt"'}),
        "a.txt",
    ),
    "an address that leads out of the folder": (whole({}), "..%2f..%2f..%2foutside%2fevil.txt"),
    "an address that ends in the folder above": (whole({}), "a/.."),
    "an address with a name of 1,000 letters": (whole({}), "a" * 1000 + ".txt"),
    "an address of commands": (whole({}), "$(touch%20executed);`touch`|{run}.txt"),
    "a decompression bomb that is only kept": (squeezed, "a.txt"),
}
for name, (answer, address) in HARMLESS.items():
    add(KIND, name, partial(of_answer, answer, None, address), None)


def of_list(text: bytes, project: Path) -> Iterator[None]:
    """A list of shards that a server publishes."""
    from zsl.config.sources import MemmapSource
    from zsl.data.shards import remote_shards
    from zsl.data.transfer import Patience

    yield
    remote = {"url": serve(whole({}, text)) + "list.yaml"}
    source = MemmapSource.model_validate({"kind": "memmap", "shards": {"remote": remote}})
    folder = project / "results" / "small" / "state" / "downloads"
    remote_shards(source, folder, Patience(1, 0.01))


LISTS: dict[str, tuple[bytes, str]] = {
    "that names a file of this machine": (
        b"data: {paths: ['file:///etc/passwd']}",
        "names 'file:///etc/passwd', which is no address of a file on a server",
    ),
    "that names a path": (
        b"data: {paths: ['/etc/passwd']}",
        "names '/etc/passwd', which is no address",
    ),
    "with a tag that runs a command": (
        b"data: !!python/object/apply:os.system ['touch ../outside/executed']",
        "could not determine a constructor for the tag",
    ),
    "of aliases that multiply": (
        b"a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + b"\n".join(b"%c: &%c [" % (n, n) + b"*%c," % (n - 1) * 10 + b"]" for n in b"bcdefgh"),
        "values, aliases written out",
    ),
    "of numbers": (b"data: {paths: [1, 2]}", "is not a list of addresses"),
    "that is a page": (b"<!doctype html><p>not found", "no 'data.paths'"),
    "that is nothing": (b"", "no 'data.paths'"),
}
for name, (text, says) in LISTS.items():
    add(KIND, f"a list of shards {name}", partial(of_list, text), says)


@row(KIND, "a damaged note of what was fetched before", ".json: not JSON")
def note(project: Path) -> Iterator[None]:
    from zsl.data.download import cached_name

    url = serve(whole({})) + "a.txt"
    folder = project / "results" / "small" / "state" / "downloads"
    folder.mkdir(parents=True)
    (folder / f"{cached_name(url)}.json").write_text("[" * 100_000)
    yield
    get(url, project)
