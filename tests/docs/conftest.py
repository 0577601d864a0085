"""The programs of docs/ import one another by name; they read a copy of mini's results."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

RESULTS = ROOT / "results/mini"
FOLDERS = ("data", "curves", "fits", "figures", "tables", "lineage/figures")
LARGE = ("*.html", "landscapes", "token_landscapes")


def unfinished(results: Path) -> str:
    """Why the results of mini are not all there; empty if they are."""
    from zsl.config.load import load
    from zsl.registry import available

    if any((ROOT / ".snakemake/locks").glob("*")):
        return "Snakemake is at work here"
    targets = available(load([ROOT / "config/config.yaml"]))
    missing = [t.id for t in targets if not (results / f"{t.kind}s" / f"{t.id}.csv").is_file()]
    return f"{len(missing)} figures and tables are not made, first {missing[0]}" if missing else ""


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> Path:
    """A copy of what the documents quote, so that nothing of it changes while it is read."""
    copy = tmp_path_factory.mktemp("results") / "mini"
    why = unfinished(RESULTS)
    try:
        for name in () if why else FOLDERS:
            shutil.copytree(RESULTS / name, copy / name, ignore=shutil.ignore_patterns(*LARGE))
        why = why or unfinished(copy)
    except (FileNotFoundError, shutil.Error):
        why = "they changed while they were read"
    if why:
        pytest.skip(f"results/mini is not complete: {why}")
    return copy


@pytest.fixture(scope="session")
def mini(results):
    from values import Results, plan

    return Results(results, plan("config"))
