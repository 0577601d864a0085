"""What holds for every file of the repository."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from slow import SLOW

ROOT = Path(__file__).parents[2]
PUBLISHED = ".ci/run"
"""The one file that may name the folder of shared files."""
FOR_USERS = [
    "all",
    "main",
    "compare",
    "report",
    "audit",
    "test",
    "test-all",
    "test-kill",
    "test-slurm",
    "check",
]
"""Targets of make, beside those of developers."""


def tracked(*patterns: str) -> list[str]:
    """Paths of the files that git tracks, relative to the root."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone: which files are tracked is not known")
    listed = subprocess.run(
        ["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [path for path in listed.stdout.split("\0") if path]
    return [path for path in paths if (ROOT / path).is_file()]


def found(pattern: str) -> set[str]:
    """``path:line`` of each match in a tracked text file."""
    matches = set()
    for path in tracked():
        try:
            lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # not text
        matches |= {f"{path}:{n}" for n, line in enumerate(lines, 1) if re.search(pattern, line)}
    return matches


def test_no_path_of_one_machine():
    # In brackets, lest this file be found. /home/me stands for anybody's.
    homes = r"(?<![\w.~$/{}*-])/(?:[w]ork|[r]oot|[h]ome/(?!me\b)|[U]sers|[m]nt)\b"
    assert found(homes) == set()


def test_the_shared_folder_is_named_in_one_file():
    assert {place.split(":")[0] for place in found(r"\.\./[s]hared")} == {PUBLISHED}


def test_no_package_index():
    options = r"(?:--(?:extra-)?[i]ndex-url|--[f]ind-links|--[t]rusted-host)[= ]*\S*[/.]\w"
    assert found(options) == set()
    assert found(r"\bPIP_[A-Z_]*(?:URL|LINKS|HOST)\b") == set()
    assert found(r"://[^\s\"']*(?:[p]ypi|/[s]imple(?:/|\b)|download\.[p]ytorch)") == set()


@pytest.mark.parametrize("start", SLOW)
def test_what_is_listed_as_slow_exists(start):
    path, _, name = start.partition("::")
    assert (ROOT / "tests" / path).exists()
    assert not name or f"def {name}" in (ROOT / "tests" / path).read_text()


def make_targets() -> set[str]:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return set(phony.split())


def read_me() -> str:
    return (ROOT / "README.md").read_text()


def test_what_the_read_me_says_to_make_exists():
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", read_me(), re.MULTILINE))
    assert {"all", "test", "check"} <= named
    assert named <= make_targets()


def test_files_that_the_read_me_names_exist():
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", read_me())
    configured = re.findall(r"--configfile (\S+?)[`\s]", read_me())
    assert configured
    missing = {path for path in [*linked, *configured] if not (ROOT / path).exists()}
    assert missing == set()


def test_what_is_said_above_the_makefile_is_there():
    above = (ROOT / "Makefile").read_text().partition("\nSHELL")[0]
    said = re.findall(r"\bmake ([\w-]+)(?:: |  )", above)
    assert said == FOR_USERS
    assert set(said) <= make_targets()


@pytest.mark.parametrize("name", FOR_USERS)
def test_make_starts_with_the_environment_when_it_is_missing(name):
    command = ["make", "--dry-run", "READY=nowhere/.ready", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    made = [n for n, line in enumerate(lines) if "-m venv" in line]
    assert len(made) == 1
    used = [n for n, line in enumerate(lines) if re.match(r"\.venv/bin/(?!python -m pip )", line)]
    assert used
    assert made < used
