"""A small made-up project with results, its crate, and the validator without a network."""

from __future__ import annotations

import io
import json
import socket
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from rocrate_validator.utils.http import HttpRequester
from tiny_project import EXPECTED, make_project, rewrite_records, write_record
from urllib3 import HTTPResponse

from zsl.crate.run import read_run
from zsl.crate.write import write_crate

CONTEXTS = {
    "https://w3id.org/ro/crate/1.1/context": "ro-crate-1.1.json",
    "https://w3id.org/ro/terms/workflow-run/context": "workflow-run.json",
}
ACCEPTED = (
    "application/ld+json, application/json",
    "application/ld+json, application/json, */*;q=0.1",
)
"""What the validator says it accepts; it is part of the key of its cache."""


@dataclass(frozen=True)
class Crate:
    """A crate that was written."""

    path: Path

    @property
    def names(self) -> list[str]:
        with zipfile.ZipFile(self.path) as archive:
            return archive.namelist()

    def read(self, name: str) -> bytes:
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(name)

    @property
    def metadata(self) -> dict[str, Any]:
        return json.loads(self.read("ro-crate-metadata.json"))

    @property
    def entities(self) -> dict[str, dict[str, Any]]:
        return {entity["@id"]: entity for entity in self.metadata["@graph"]}


@pytest.fixture
def project(tmp_path) -> Path:
    """A project of its own, to be changed at will."""
    return make_project(tmp_path / "project")


@pytest.fixture
def record():
    """Write the record of a job of a project; see there."""
    return write_record


@pytest.fixture
def rewrite():
    """Change all records of a project; see there."""
    return rewrite_records


@pytest.fixture
def written(tmp_path):
    """Write a crate of a project and open it."""

    def write(project: Path, **options: Any) -> Crate:
        settings = {"configfiles": [Path("config/config.yaml")], "expected": EXPECTED}
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}.zip"
        write_crate(out, read_run("results/tiny", project, **{**settings, **options}))
        return Crate(out)

    return write


@pytest.fixture(scope="session")
def crate(tmp_path_factory) -> Crate:
    """The crate of the made-up project."""
    folder = tmp_path_factory.mktemp("crate")
    out = folder / "tiny.zip"
    known = {"configfiles": [Path("config/config.yaml")], "expected": EXPECTED}
    write_crate(out, read_run("results/tiny", make_project(folder / "project"), **known))
    return Crate(out)


@pytest.fixture
def no_network(monkeypatch):
    """Whoever asks for an address or a connection fails, and the test with it."""
    asked: list[object] = []

    def refused(*arguments: object, **options: object) -> None:
        asked.append(arguments)
        raise AssertionError(f"the network was asked for {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    yield asked
    assert asked == []


@pytest.fixture(scope="session")
def contexts(tmp_path_factory) -> Path:
    """A cache of the validator that holds the contexts, as its command ``cache warm`` makes one."""
    path = tmp_path_factory.mktemp("cache") / "http"
    HttpRequester.initialize_cache(cache_path=str(path), cache_max_age=-1, offline=True)
    cache = HttpRequester().session.cache
    for url, name in CONTEXTS.items():
        for accepted in ACCEPTED:
            cache.save_response(_response(url, name, accepted))
    return path


def _response(url: str, name: str, accepted: str) -> requests.Response:
    body = (Path(__file__).parent / "contexts" / name).read_bytes()
    headers = {"Content-Type": "application/ld+json"}
    response = requests.Response()
    response.status_code, response.url, response._content = 200, url, body
    response.headers.update(headers)
    response.request = requests.Request("GET", url, headers={"Accept": accepted}).prepare()
    response.raw = HTTPResponse(io.BytesIO(body), headers, status=200, preload_content=False)
    return response


@pytest.fixture
def broken_rules(contexts, no_network):
    """The REQUIRED rules of all its profiles that a crate breaks, found without a network."""
    from rocrate_validator.models import Severity, ValidationSettings
    from rocrate_validator.services import validate

    def check(path: Path) -> set[str]:
        settings = ValidationSettings(
            rocrate_uri=str(path),
            profile_identifier="provenance-run-crate",
            requirement_severity=Severity.REQUIRED,
            offline=True,
            cache_path=contexts,
        )
        result = validate(settings)
        broken = {str(issue.message) for issue in result.get_issues()}
        assert result.passed() == (not broken)
        return broken

    return check
