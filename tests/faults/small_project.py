"""A copy of the project with a small experiment in which every stage has a job."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from shutil import copy2, copytree, ignore_patterns

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SHOWN = ["fig03", "fig04", "fig07", "fig08", "fig16", "fig17", "fig29", "table1"]
SHOWN += ["sensitivity", "breakdown"]
"""The targets of the copy: each stage is behind one of them."""
AVAILABLE = "TARGETS = {target.id: target for target in registry.available(PLAN)}"


def _conftest_of_workflow():
    spec = spec_from_file_location("conftest_of_workflow", ROOT / "tests/workflow/conftest.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_workflow = _conftest_of_workflow()
Project = _workflow.Project


def small_project(root: Path):
    """The project at ``root``, of which nothing is made yet."""
    root.mkdir(parents=True)
    for name in _workflow.FOLDERS:
        copytree(ROOT / name, root / name, ignore=ignore_patterns("__pycache__"))
    for name in _workflow.FILES:
        copy2(ROOT / name, root / name)
    project = Project(root)
    copy2(HERE / "tiny.yaml", root / project.config)
    (root / "text").mkdir()
    (root / "text/1.txt").write_text(_workflow.invented_text(1, 800))
    shown = AVAILABLE.replace("target.id: target for target", "t.id: t for t")
    project.replace("workflow/rules/common.smk", AVAILABLE, f"{shown[:-1]} if t.id in {SHOWN}}}")
    return project


def differences(made: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """Artifacts that are in one only, or whose bytes differ."""
    return sorted(path for path in made | expected if made.get(path) != expected.get(path))
