"""A headless Chromium driven through chromedriver, and a note of every request that it makes."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1400,1000",
]  # fmt: skip


def missing() -> str | None:
    """Why no browser can be had here, if so."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(absent)} not installed" if absent else None


@dataclass(frozen=True)
class Browser:
    """A session of the WebDriver protocol."""

    session: str

    def post(self, path: str, **values: Any) -> Any:
        answer = requests.post(f"{self.session}/{path}", json=values, timeout=60).json()["value"]
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script's ``return``."""
        return self.post("execute/sync", script=script, args=arguments)

    def wait(self, script: str, *arguments: Any, seconds: float = 20) -> Any:
        """The first true value that a script returns."""
        end = time.monotonic() + seconds
        while not (value := self.run(script, *arguments)):
            assert time.monotonic() < end, f"not true within {seconds} s: {script} {arguments}"
            time.sleep(0.1)
        return value

    def type(self, selector: str, text: str) -> None:
        """Type into the element that a selector finds first."""
        found = self.post("element", using="css selector", value=selector)
        (element,) = found.values()
        self.post(f"element/{element}/value", text=text)

    def requested(self) -> list[str]:
        """Addresses that pages asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [request["request"]["url"] for request in sent]

    def errors(self) -> list[str]:
        """Errors on the console since the last call."""
        return [e["message"] for e in self._log("browser") if e["level"] == "SEVERE"]

    def _log(self, kind: str) -> list[dict[str, Any]]:
        return list(self.post("se/log", type=kind))


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            try:
                requests.get(f"{address}/status", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        always = {
            "goog:chromeOptions": {"args": [*OPTIONS, f"--user-data-dir={profile}"]},
            "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"},
        }
        wanted = {"capabilities": {"alwaysMatch": always}}
        made = requests.post(f"{address}/session", json=wanted, timeout=60).json()["value"]
        session = f"{address}/session/{made['sessionId']}"
        yield Browser(session)
        requests.delete(session, timeout=60)
    finally:
        driver.terminate()
        driver.wait()
