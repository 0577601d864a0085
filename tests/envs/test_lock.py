"""One environment: the lock pins what running and testing needs, and nothing else."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINES = [
    line
    for line in (ROOT / "requirements.lock").read_text().splitlines()
    if line and not line.startswith("#")
]
DIRECT = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["tools"]]


def locked() -> dict[str, str]:
    pairs = [line.split("==") for line in LINES]
    return {canonicalize_name(name): version for name, version in pairs}


def required_by(name: str, extra: str) -> Iterator[Requirement]:
    """Requirements of an installed package on this machine."""
    for line in metadata.distribution(name).requires or []:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        # The CUDA libraries differ between builds of torch, each of which pins its own.
        if name == "torch" and str(requirement.specifier).startswith("=="):
            continue
        yield requirement


def needed() -> set[str]:
    """Everything that the direct dependencies need, themselves included."""
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(line) for line in DIRECT]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras}:
            if (name, extra) not in found:
                found.add((name, extra))
                waiting.extend(required_by(name, extra))
    return {name for name, _ in found}


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_one_exact_public_version(line):
    match = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==(\S+)", line)
    assert match
    assert Version(match[1]).local is None
    assert "*" not in line


def test_no_package_is_pinned_twice():
    assert len(locked()) == len(LINES)


def test_lines_are_sorted():
    assert LINES == sorted(LINES, key=str.lower)


def test_the_lock_is_what_is_needed_and_nothing_else():
    assert set(locked()) == needed()


def test_what_is_installed_is_what_is_locked():
    installed = {name: Version(metadata.version(name)).public for name in locked()}
    assert installed == locked()


def test_the_lock_satisfies_pyproject():
    for line in DIRECT:
        requirement = Requirement(line)
        assert requirement.specifier.contains(locked()[canonicalize_name(requirement.name)])


def test_the_python_that_pyproject_asks_for():
    assert PROJECT["requires-python"] == ">=3.11,<3.12"
    assert sys.version_info[:2] == (3, 11)


def imports() -> set[str]:
    """Packages that the code of the project imports."""
    folders = ["src", "workflow", "tests", "benchmarks", "docs"]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    pattern = re.compile(r"^\s*(?:import|from) (\w+)", re.MULTILINE)
    names = {name for path in files for name in pattern.findall(path.read_text())}
    return names - set(sys.stdlib_module_names) - {"zsl"}


def test_what_is_imported_is_a_direct_dependency():
    providers = metadata.packages_distributions()
    direct = {canonicalize_name(Requirement(line).name) for line in DIRECT}
    of_packages = {
        name: {canonicalize_name(p) for p in providers[name]}
        for name in imports()
        if name in providers
    }
    assert {name for name, by in of_packages.items() if not by & direct} == set()


def test_the_conda_environment_is_the_lock():
    conda = yaml.safe_load((ROOT / "envs/environment.yaml").read_text())
    *packages, pip = conda["dependencies"]
    assert packages == ["python=3.11", "pip"]
    assert pip == {"pip": ["-r ../requirements.lock", "-e .."]}


def test_the_container_is_the_lock():
    recipe = (ROOT / "envs/container.def").read_text()
    assert re.search(r"^From: python:3\.11-slim$", recipe, re.MULTILINE)
    installs = re.findall(r"^ *pip install (.*)$", recipe, re.MULTILINE)
    assert installs == ["--no-cache-dir --requirement /opt/zsl/requirements.lock"]
    assert "requirements.lock /opt/zsl/requirements.lock" in recipe


def test_the_workflow_names_the_image_that_the_recipe_builds():
    (image,) = re.findall(r'^container: "(.*)"$', (ROOT / "Snakefile").read_text(), re.MULTILINE)
    assert (
        f"apptainer build {image} envs/container.def" in (ROOT / "envs/container.def").read_text()
    )
