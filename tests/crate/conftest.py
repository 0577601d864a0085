"""A small made-up project with results, its crate, and the validator without a network."""

from __future__ import annotations

import io
import json
import socket
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from rocrate_validator.utils.http import HttpRequester
from urllib3 import HTTPResponse

from zsl.crate.write import write_crate
from zsl.files import sha256
from zsl.lineage.digests import folder_sha256, sha256_of_folder

CONTEXTS = {
    "https://w3id.org/ro/crate/1.1/context": "ro-crate-1.1.json",
    "https://w3id.org/ro/terms/workflow-run/context": "workflow-run.json",
}
ACCEPTED = (
    "application/ld+json, application/json",
    "application/ld+json, application/json, */*;q=0.1",
)
"""What the validator says it accepts; it is part of the key of its cache."""

RESULTS = "results/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
EXPECTED = ["figures/fig01", "tables/table1"]
DIGESTS = {"workflow/scripts/train.py": "a" * 64, "zsl.training": "b" * 64}
LOCK = "numpy==1.26.4\ntorch==2.13.0\n"
SEGMENT = f"{RESULTS}/training/main-1k/00000000-00000004"
OUTPUTS = {
    "tokens": [f"{RESULTS}/data/text/tokens/", f"{RESULTS}/data/text/manifest.json"],
    "train": [f"{SEGMENT}/", f"{SEGMENT}.steps.csv"],
    "measure": [f"{RESULTS}/measurements/losses/main-1k.h5"],
    "fit": [f"{RESULTS}/fits/main-1k.json"],
    "figure": [f"{RESULTS}/figures/fig01.{suffix}" for suffix in ("svg", "csv", "md")],
    "table": [f"{RESULTS}/tables/table1.html"],
}
TEXT = {
    "origin": "a package 1.0",
    "files": [
        {"origin": f"a package 1.0: text/{name}.arrow", "sha256": digit * 64, "size": 10}
        for name, digit in (("one", "d"), ("two", "e"))
    ],
}
"""Raw text of the made-up corpus, as its manifest has it."""
PROJECT_FILES = {
    "Snakefile": 'include: "workflow/rules/all.smk"\n',
    "workflow/rules/all.smk": "rule all:\n    input: []\n",
    "workflow/scripts/train.py": "print('train')\n",
    "workflow/scripts/__pycache__/train.pyc": "compiled",
    "src/zsl/__init__.py": "",
    "config/config.yaml": "experiment: tiny\n",
    "envs/environment.yaml": "name: zsl\n",
    "envs/container.def": "Bootstrap: docker\n",
    "requirements.lock": LOCK,
    "LICENSE": "Apache License\n",
    "CITATION.cff": "title: A workflow\nlicense: Apache-2.0\nauthors:\n  - name: Its authors\n",
}


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
    """Write the record of a job of a project; see below."""
    return write_record


@pytest.fixture
def written(tmp_path):
    """Write a crate of a project and open it."""

    def write(project: Path, **options: Any) -> Crate:
        settings = {"configfiles": [Path("config/config.yaml")], "expected": EXPECTED}
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}.zip"
        write_crate(out, "results/tiny", root=project, **{**settings, **options})
        return Crate(out)

    return write


@pytest.fixture(scope="session")
def crate(tmp_path_factory) -> Crate:
    """The crate of the made-up project."""
    folder = tmp_path_factory.mktemp("crate")
    out = folder / "tiny.zip"
    write_crate(
        out,
        "results/tiny",
        configfiles=[Path("config/config.yaml")],
        expected=EXPECTED,
        root=make_project(folder / "project"),
    )
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


def make_project(root: Path) -> Path:
    """Write the project with the records of six jobs; returns its root."""
    for path, text in PROJECT_FILES.items():
        _write(root / path, text)
    for folder, names in (
        (f"{RESULTS}/data/text/tokens", ("train-0.bin", "eval-0.bin")),
        (SEGMENT, ("step0/model.safetensors", "step4/model.safetensors")),
    ):
        for name in names:
            _write(root / folder / name, f"bytes of {name}")
    for paths in OUTPUTS.values():
        for path in paths:
            if not path.endswith("/"):
                _write(root / path, f"content of {path}")
    _write(root / OUTPUTS["tokens"][1], json.dumps({"sources": [TEXT]}))
    _write(
        root / f"{RESULTS}/lineage/code/{'a' * 64}.py", PROJECT_FILES["workflow/scripts/train.py"]
    )
    _records(root)
    return root


def _records(root: Path) -> None:
    params: dict[str, Any] = {"threads": 1, "packages": {"numpy": "1.26.4"}}
    run = {
        "steps": 4,
        "model": {"d_model": 8, "bias": False},
        "betas": [0.9, 0.95],
        "warmup": 0,
        "every": None,
    }
    write_record(
        root, "tokens", "data/text/manifest", [], 0, params={**params, "shuffle": {"seed": 0}}
    )
    write_record(
        root,
        "train",
        "training/main-1k/00000000-00000004",
        [("tokens", f"{RESULTS}/data/text/tokens/")],
        10,
        wildcards={"run": "main-1k"},
        params={**params, "packages": {"torch": "2.13.0"}, "run": run},
        code={"script": "workflow/scripts/train.py", "modules": DIGESTS, "fingerprint": "c" * 64},
        device={"machine": "x86_64", "cpu": "A CPU", "cuda": {"devices": ["A GPU"], "used": True}},
    )
    write_record(
        root, "measure", "measurements/losses/main-1k", [("checkpoints", f"{SEGMENT}/")], 20
    )
    write_record(root, "fit", "fits/main-1k", [(None, f"{SEGMENT}.steps.csv")], 30, params=params)
    fits = ("fits", f"{RESULTS}/fits/main-1k.json")
    write_record(root, "figure", "figures/fig01", [fits, ("losses", OUTPUTS["measure"][0])], 40)
    write_record(root, "table", "tables/table1", [fits, ("printed", "config/config.yaml")], 50)


def write_record(
    root: Path,
    rule: str,
    name: str,
    inputs: list[tuple[str | None, str]],
    second: int,
    outputs: Sequence[str] | None = None,
    **more: Any,
) -> Path:
    """Write the record of a job that took a second and a half; ``more`` are further keys."""
    outputs = OUTPUTS[rule] if outputs is None else outputs
    value = {
        "schema": 1,
        "path": f"{RESULTS}/lineage/{name}.json",
        "rule": rule,
        "git": {"commit": COMMIT, "dirty": False},
        "inputs": [_entry(root, path, keyword) for keyword, path in inputs],
        "outputs": [_entry(root, path, _keyword(path)) for path in outputs],
        "environment": {
            "lock_sha256": sha256(root / "requirements.lock"),
            "python": "3.11.7",
            "packages": {"numpy": "1.26.4", "snakemake": "9.27.1", "torch": "2.13.0+cpu"},
        },
        "device": {"machine": "x86_64", "cpu": "A CPU"},
        "threads": {"declared": 1, "OMP_NUM_THREADS": "1"},
        "peak_memory_bytes": {"process": 1000 + second},
        "time": {
            "start": f"2026-01-01T00:00:{second:02}.000Z",
            "end": f"2026-01-01T00:00:{second + 1:02}.500Z",
            "seconds": 1.5,
        },
        **more,
    }
    path = root / RESULTS / "lineage" / f"{name}.json"
    _write(path, json.dumps(value))
    _write(root / RESULTS / "lineage/history" / f"{sha256(path)}.json", json.dumps(value))
    return path


def _keyword(path: str) -> str:
    if path.endswith("manifest.json"):
        return "manifest"
    return "folder" if path.endswith("/") else Path(path).suffix[1:]


def _entry(root: Path, path: str, keyword: str | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": path.rstrip("/"), **({"name": keyword} if keyword else {})}
    if path.endswith("/"):
        files = sha256_of_folder(root / path)
        size = sum((root / path / name).stat().st_size for name in files)
        return {**entry, "kind": "folder", "size": size, "files": files} | {
            "sha256": folder_sha256(files)
        }
    found = {"size": (root / path).stat().st_size, "sha256": sha256(root / path)}
    return {**entry, "kind": "file", **found}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
