"""A server on this machine that answers as the Hub does, for what ``huggingface_hub`` asks of it:

``/api/models/<repo>/refs``, ``.../tree/<revision>`` and ``/<repo>/resolve/<revision>/<file>``, the
latter with ETag, X-Repo-Commit and Range, and for large files with X-Linked-Etag, X-Linked-Size
and a redirect to another host. Besides, plain files below ``/files/`` with Range requests.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".pt", ".safetensors", ".bin")
Files = dict[str, bytes]


def git_blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class Hub:
    """What is on the server, and what goes wrong with it."""

    url: str = ""
    other: str = ""
    """Its address under another name, where large files are."""
    revisions: dict[str, dict[str, str]] = field(default_factory=dict)
    """Commits by repository and name."""
    commits: dict[str, Files] = field(default_factory=dict)
    files: Files = field(default_factory=dict)
    """Plain files, by name."""
    asked: Counter[str] = field(default_factory=Counter)
    """Requests, as ``METHOD path``."""
    sent: int = 0
    """Bytes of plain files that were sent."""
    gated: bool = False
    status: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    """Answers to paths that contain a word, in place of what is there."""
    cut: dict[str, int] = field(default_factory=dict)
    """Bytes after which the connection closes, of paths that contain a word."""
    served: Files = field(default_factory=dict)
    """Other bytes in place of those of a digest."""
    no_ranges: bool = False

    def push(self, repository: str, revision: str, files: Files) -> str:
        """Let a revision have these files; its commit."""
        told = json.dumps([repository, revision, {n: git_blob(d) for n, d in files.items()}])
        commit = hashlib.sha1(told.encode()).hexdigest()
        self.commits[commit] = dict(files)
        self.revisions.setdefault(repository, {})[revision] = commit
        return commit

    def push_folder(self, repository: str, revision: str, folder: Path) -> str:
        return self.push(repository, revision, {p.name: p.read_bytes() for p in folder.iterdir()})

    def times(self, word: str, method: str = "GET") -> int:
        """How often a path that contains a word was asked for."""
        return sum(n for line, n in self.asked.items() if line.startswith(method) and word in line)


class Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked[f"{self.command} {path}"] += 1
        for word, (status, headers) in self.hub.status.items():
            if word in path:
                return self.say(status, b"", headers)
        if path.startswith("/cdn/"):
            return self.send_range(self.large(path.removeprefix("/cdn/")), path)
        if path.startswith("/files/"):
            return self.plain(path)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(refs|tree)(?:/([^/]+))?", path):
            return self.listing(*match.groups())
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self.resolve(*match.groups())
        return self.say(404, b"", {})

    def listing(self, repository: str, what: str, revision: str | None) -> None:
        if not self.may_read(repository):
            return
        known = self.hub.revisions[repository]
        if what == "refs":
            branches = [
                {"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit}
                for name, commit in known.items()
            ]
            return self.say_json({"branches": branches, "converts": [], "tags": []})
        if (files := self.of_revision(repository, revision or "main")) is None:
            return
        tree = []
        for name, data in files.items():
            entry = {"type": "file", "path": name, "size": len(data), "oid": git_blob(data)}
            if name.endswith(LARGE):
                oid = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"oid": oid, "size": len(data), "pointerSize": 134}
            tree.append(entry)
        self.say_json(tree)

    def resolve(self, repository: str, revision: str, name: str) -> None:
        if not self.may_read(repository):
            return
        if (files := self.of_revision(repository, revision)) is None:
            return
        commit = {"X-Repo-Commit": self.hub.revisions[repository].get(revision, revision)}
        if name not in files:
            return self.say(404, b"", {**commit, "X-Error-Code": "EntryNotFound"})
        data = files[name]
        if not name.endswith(LARGE):
            return self.send_range(data, name, {**commit, "ETag": f'"{git_blob(data)}"'})
        digest = hashlib.sha256(data).hexdigest()
        linked = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))}
        self.say(302, b"", {**commit, **linked, "Location": f"{self.hub.other}/cdn/{digest}"})

    def may_read(self, repository: str) -> bool:
        if repository not in self.hub.revisions:
            self.say(401, b"", {"X-Error-Code": "RepoNotFound"})
        elif self.hub.gated:
            self.say(403, b"", {"X-Error-Code": "GatedRepo"})
        else:
            return True
        return False

    def of_revision(self, repository: str, revision: str) -> Files | None:
        commit = self.hub.revisions[repository].get(revision, revision)
        if commit not in self.hub.commits:
            self.say(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return None
        return self.hub.commits[commit]

    def large(self, digest: str) -> bytes:
        every = (data for files in self.hub.commits.values() for data in files.values())
        data = next(data for data in every if hashlib.sha256(data).hexdigest() == digest)
        return self.hub.served.get(digest, data)

    def plain(self, path: str) -> None:
        data = self.hub.files.get(path.removeprefix("/files/"))
        return self.say(404, b"", {}) if data is None else self.send_range(data, path)

    def send_range(self, data: bytes, path: str, headers: dict[str, str] | None = None) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        told = {"Accept-Ranges": "bytes", **(headers or {})}
        status, body = 200, data
        if asked and not self.hub.no_ranges:
            start, stop = int(asked[1]), min(int(asked[2] or len(data)) + 1, len(data))
            if start >= len(data):
                return self.say(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            told["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
            status, body = 206, data[start:stop]
        for word, kept in self.hub.cut.items():
            if word in path and self.command == "GET":
                self.say(status, body, told, sent=body[:kept])
                self.close_connection = True
                return
        if path.startswith("/files/"):
            self.hub.sent += len(body)
        self.say(status, body, told)

    def say_json(self, value: Any) -> None:
        self.say(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def say(
        self, status: int, body: bytes, headers: dict[str, str], sent: bytes | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if sent is None else sent)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no error."""


@contextmanager
def serving() -> Iterator[Hub]:
    """A server with nothing on it."""
    hub = Hub()
    server = Server(("127.0.0.1", 0), type("Of", (Handler,), {"hub": hub}))
    port = server.server_address[1]
    hub.url, hub.other = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
