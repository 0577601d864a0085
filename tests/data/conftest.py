"""A small web server with faults, and ways to build small corpora."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from zsl.config.schema import Corpus
from zsl.data.corpus import build_corpus
from zsl.data.manifest import Manifest

WORDS = [a + b + c for a in "bdgklmnprst" for b in "aeiou" for c in "lnrs"]


@dataclass
class Server:
    """What the server serves and how it misbehaves."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    head: bool = True
    etag: bool = True
    drop_after: int | None = None
    """Close the connection after so many bytes of each answer."""
    die_after: int | None = None
    """Answer no GET any more after so many."""
    hold_after: int | None = None
    """Let every GET wait after so many."""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """(method, name, Range) of each request."""
    sent: int = 0
    """Bytes of bodies sent."""

    def gets(self, name: str) -> list[str | None]:
        return [span for method, path, span in self.requests if (method, path) == ("GET", name)]


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            name = self.path.lstrip("/")
            span = self.headers.get("Range")
            server.requests.append((self.command, name, span))
            served = sum(method == "GET" for method, _, _ in server.requests)
            if name not in server.files or (not body and not server.head):
                self.send_error(404 if body else 405)
                return
            if body and server.die_after is not None and served > server.die_after:
                self.send_error(503)
                return
            data = server.files[name]
            tag = f'"{hash(data)}"'
            start = int(span.removeprefix("bytes=").rstrip("-")) if span and server.ranges else 0
            if self.headers.get("If-Range", tag) != tag:
                start = 0
            if start and start >= len(data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(data)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            if server.etag:
                self.send_header("ETag", tag)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            if body:
                if server.hold_after is not None and served > server.hold_after:
                    threading.Event().wait()
                sent = data[start:]
                if server.drop_after is not None:
                    sent = sent[: server.drop_after]
                self.wfile.write(sent)
                server.sent += len(sent)
                if len(sent) < len(data) - start:
                    self.close_connection = True

    return Handler


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    running: list[ThreadingHTTPServer] = []

    def start(**settings: Any) -> Server:
        server = Server(**settings)
        http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
        server.url = f"http://127.0.0.1:{http.server_address[1]}/"
        threading.Thread(target=http.serve_forever, daemon=True).start()
        running.append(http)
        return server

    yield start
    for http in running:
        http.shutdown()
        http.server_close()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address is tried three times, one after the other."""
    monkeypatch.setattr("zsl.data.download.ATTEMPTS", 3)
    monkeypatch.setattr("time.sleep", lambda _: None)


def _passages(count: int, length: int = 30, seed: int = 0) -> list[str]:
    """Distinct passages of common words: any two share short windows, few share long ones."""
    draw = random.Random(seed)
    return [f"passage {n}: " + " ".join(draw.choices(WORDS, k=length)) for n in range(count)]


@dataclass
class Built:
    manifest: Manifest
    tokens: Path
    tokenizer: Path
    manifest_path: Path


@pytest.fixture
def passages() -> Callable[..., list[str]]:
    """``passages(count, length, seed)``: distinct texts of invented words."""
    return _passages


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Built]:
    """``build(declared, out, **options)``: make a corpus below ``tmp_path``, with a small
    evaluation set and BPE by default."""
    return partial(_build, tmp_path)


def _build(root: Path, declared: dict[str, Any], out: str = "out", **options: Any) -> Built:
    declared = {
        "evaluation": {"sequences": 4, "sequence_length": 16, "window": 13},
        "tokenizer": {"kind": "bpe", "vocab_size": 300},
        **declared,
    }
    data = root / out / "data"
    manifest = build_corpus(
        "small",
        Corpus.model_validate(declared),
        tokens_folder=data / "tokens",
        tokenizer_path=data / "tokenizer.json",
        manifest_path=data / "manifest.json",
        state=root / out / "state",
        root=root,
        **{"threads": 1, "requirements": [], **options},
    )
    return Built(manifest, data / "tokens", data / "tokenizer.json", data / "manifest.json")


SCRIPT = """
import json, sys
from pathlib import Path
from zsl.config.schema import Corpus
from zsl.data.corpus import build_corpus
root, out, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
build_corpus(
    "small",
    Corpus.model_validate(json.loads((root / "corpus.json").read_text())),
    tokens_folder=out / "data/tokens",
    tokenizer_path=out / "data/tokenizer.json",
    manifest_path=out / "data/manifest.json",
    state=out / "state",
    root=root,
    threads=threads,
)
"""


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., subprocess.Popen]:
    """``job(declared, out, threads)``: a process that makes a corpus as ``build`` does."""

    def started(declared: dict[str, Any], out: str = "out", threads: int = 1) -> subprocess.Popen:
        (tmp_path / "corpus.json").write_text(json.dumps(declared))
        arguments = [str(tmp_path), str(tmp_path / out), str(threads)]
        return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments])

    return started
