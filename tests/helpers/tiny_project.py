"""A small made-up project with results of six jobs, for tests of crates."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from zsl.files import sha256
from zsl.lineage.digests import folder_sha256, sha256_of_folder
from zsl.lineage.history import keep_record

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
    keep_record(path)
    return path


def rewrite_records(root: Path, results: str, change: Callable[[str], str]) -> None:
    """Change the text of every record, as if jobs had written them so."""
    lineage = root / results / "lineage"
    shutil.rmtree(lineage / "history")
    for path in [*lineage.rglob("*.json")]:
        path.write_text(change(path.read_text()))
        keep_record(path)


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
