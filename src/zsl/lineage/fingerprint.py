"""Code fingerprints: which code an artifact depends on, and a digest of it.

A rule names its fingerprint as a parameter, so that Snakemake makes its outputs again when
the code behind them means something else, and only then::

    params:
        code=fingerprint("workflow/scripts/fit.py"),
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import resolve_name
from os.path import isfile
from pathlib import Path

from zsl.files import sha256, sha256_of_json
from zsl.lineage.errors import LineageError
from zsl.lineage.syntax import Source, parse

ROOT = Path(__file__).resolve().parents[3]
"""The project's root: the library lies in ``src/zsl`` below it, the scripts in
``workflow/scripts``."""

PACKAGE = "zsl"
SCRIPTS = "workflow/scripts"

LEFT_OUT = {
    "zsl.lineage": "describes results, does not make them",
    "zsl.config.flops": "estimates costs",
    "zsl.config.load": "reads settings, which reach a job as parameters",
    "zsl.config.checks": "refuses settings, changes none",
    "zsl.config.measurements": "settings reach a job as parameters; its modules are named by rules",
    "zsl.config.misread": "refuses settings, changes none",
    "zsl.config.parameters": "counts the weights of a model, for costs and captions",
    "zsl.errors": "kinds of errors; no result is made from one",
    "zsl.gpus": "says how fast training could be",
    "zsl.job": "logs and records a job; its number of threads is a parameter",
    "zsl.planning": "estimates costs",
    "zsl.progress": "shows how far a job is",
    "zsl.registry": "lists targets; the module of a target is named by its rule",
    "zsl.training.launch": "starts the processes that train",
    "zsl.training.lock": "keeps two jobs from training one segment",
    "zsl.training.speed": "says how fast training is",
}
"""Modules (with all below them) that are neither counted nor followed, with the reason."""

DECLARATIONS = {
    "zsl.config.analysis": "settings reach a job as parameters",
    "zsl.config.base": "refuses unknown settings",
    "zsl.config.interventions": "settings reach a job as parameters",
    "zsl.config.optimizers": "settings reach a job as parameters",
    "zsl.config.schema": "settings reach a job as parameters",
    "zsl.config.sources": "settings reach a job as parameters",
}
"""Modules of which only methods count (validators do not), with the reason."""


@dataclass(frozen=True)
class _Module:
    name: str
    path: Path

    @property
    def package(self) -> str:
        """What leading dots of an import refer to."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]


def fingerprint(
    script: str | Path,
    modules: Sequence[str] = (),
    files: Sequence[str | Path] = (),
    root: Path = ROOT,
) -> str:
    """SHA-256 over the code that a script reaches; arguments as in :func:`modules_of`."""
    return sha256_of_json(modules_of(script, modules, files, root))


def modules_of(
    script: str | Path,
    modules: Sequence[str] = (),
    files: Sequence[str | Path] = (),
    root: Path = ROOT,
) -> dict[str, str]:
    """SHA-256 by name of everything that counts as the code of a script, sorted by name.

    ``script`` is relative to ``root``, and so are ``files``: data files of the package that
    the code reads, each hashed whole. ``modules`` are those the script imports by a name it
    computes, such as ``zsl.figures.fig05``. Counted are the syntax trees of the script, of
    its neighbours and of the modules of ``zsl`` that are imported anywhere on the way, with
    the packages they lie in, without :data:`LEFT_OUT`.

    Raises :class:`LineageError` where one of them is missing or is not Python.
    """
    start = _Module(Path(script).stem, root / script)
    if not start.path.is_file():
        raise LineageError(f"no script {script} in {root}; it is named relative to the root")
    found = {_relative(start.path, root): _source(start).digest}
    waiting = list(_imported(start, root, start.path.parent))
    for name in modules:
        if not is_inside(name) or not _locate(name, root / "src"):
            raise LineageError(f"no module {name} below {root / 'src'}; a rule names it as code")
        waiting.extend(_with_parents(name, root))
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module.name in seen or is_left_out(module.name):
            continue
        seen.add(module.name)
        found[module.name] = _source(module).digest
        waiting.extend(_imported(module, root, start.path.parent))
    for file in files:
        if not (root / file).is_file():
            raise LineageError(f"no file {file} in {root}; a rule names it as read by its code")
        found[_relative(root / file, root)] = sha256(root / file)
    return dict(sorted(found.items()))


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def is_inside(name: str) -> bool:
    """Whether a module is the package or lies below it."""
    return name.partition(".")[0] == PACKAGE


def is_left_out(name: str) -> bool:
    """Whether a module is one of :data:`LEFT_OUT` or lies below one."""
    return any(_is_below(name, other) for other in LEFT_OUT)


def _is_below(name: str, other: str) -> bool:
    return name == other or name.startswith(other + ".")


def _source(module: _Module) -> Source:
    return _source_of(module, *_stamp(module))


def _imported(module: _Module, root: Path, scripts: Path) -> tuple[_Module, ...]:
    return _imported_of(module, root, scripts, *_stamp(module))


def _stamp(module: _Module) -> tuple[int, int, int]:
    """What changes with the file of a module: all else is found once a process."""
    found = os.stat(module.path)  # noqa: PTH116 (asked thousands of times when a DAG is built)
    return found.st_mtime_ns, found.st_size, found.st_ino


@cache
def _source_of(module: _Module, *stamp: int) -> Source:
    try:
        return parse(module.path.read_text(encoding="utf-8"), module.name in DECLARATIONS)
    except SyntaxError as error:
        raise LineageError(f"{module.path}:{error.lineno}: not Python: {error.msg}") from error


@cache
def _imported_of(module: _Module, root: Path, scripts: Path, *stamp: int) -> tuple[_Module, ...]:
    """Modules that importing or running a module may execute, packages included."""
    found: list[_Module] = []
    for line in _source_of(module, *stamp).imports:
        target = resolve_name("." * line.level + line.module, module.package)
        if is_inside(target):
            found.extend(_with_parents(target, root))
            if line.name and (submodule := _locate(f"{target}.{line.name}", root / "src")):
                found.append(submodule)
        elif not is_inside(module.name) and (neighbour := _locate(target, scripts)):
            found.append(neighbour)
    return tuple(found)


def _with_parents(name: str, root: Path) -> Iterator[_Module]:
    """The module of a dotted name, where it is one, and the packages above it."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        if module := _locate(".".join(parts[:end]), root / "src"):
            yield module


def _locate(name: str, folder: Path) -> _Module | None:
    """The file of a module whose dotted name starts at ``folder``; None where it is none."""
    base = f"{folder}/{name.replace('.', '/')}"
    for path in (f"{base}.py", f"{base}/__init__.py"):
        if isfile(path):  # noqa: PTH113 (as above)
            return _Module(name, Path(path))
    return None


def path_of(name: str, root: Path = ROOT) -> Path:
    """Where the code lies that :func:`modules_of` names so; there may be none any more."""
    if "/" in name:
        return root / name
    found = _locate(name, root / "src" if is_inside(name) else root / SCRIPTS)
    return found.path if found else root / "src" / f"{name.replace('.', '/')}.py"


def digest_of(name: str, root: Path = ROOT) -> str | None:
    """The digest that :func:`modules_of` would give a module or file now; None if it is gone.

    Raises :class:`LineageError` where a module is not Python.
    """
    path = path_of(name, root)
    if not path.is_file():
        return None
    return _source(_Module(name, path)).digest if path.suffix == ".py" else sha256(path)
