"""The table of hostile inputs, and a process that makes its rows one by one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

Make = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="session", autouse=True)
def _no_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Audits keep digests in a cache: not in anybody's home; and no published curves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ZSL_PUBLISHED_DIR", raising=False)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def server(_no_home: None) -> Iterator[subprocess.Popen[str]]:
    """The process that :mod:`attacks.judged` is."""
    path = os.pathsep.join([str(HERE), str(HERE.parent / "helpers")])
    surroundings = {**os.environ, "PYTHONPATH": path, "RUST_BACKTRACE": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", "attacks.judged"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=surroundings,
        text=True,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def make(server: subprocess.Popen[str], tmp_path: Path) -> Make:
    """Make a row in a fresh folder, in which there is more than the project."""

    def made(id: str) -> dict[str, Any]:
        for name in ("project", "tmp", "outside"):
            (tmp_path / name).mkdir()
        (tmp_path / "outside" / "secret.txt").write_text("a secret\n")
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(json.dumps({"id": id, "folder": str(tmp_path)}) + "\n")
        server.stdin.flush()
        found: dict[str, Any] = json.loads(server.stdout.readline())
        return found

    return made
