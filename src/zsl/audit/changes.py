"""What differs between a record and what the project would do now, or between two records."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zsl.errors import BrokenFileError, ZslError
from zsl.files import read_limited
from zsl.lineage.fingerprint import digest_of, is_inside, modules_of, path_of

STALE_INPUT = "is stale itself"
"""Said of an input that nothing but its own staleness makes stale."""
LARGEST_SOURCE = 1 << 24
"""Bytes of a source that is parsed."""
SHOWN = 80
"""Characters of a value that a line shows."""
LEAD = 20
"""Of these, characters before the first difference."""


@dataclass(frozen=True)
class Change:
    """One difference, from ``before`` to ``now``; None where there was or is nothing."""

    kind: str
    """rule, setting, module, package, or input."""
    name: str
    before: Any = None
    now: Any = None
    said: str = ""
    """Further words, such as the functions of a module that changed."""

    def __str__(self) -> str:
        if self.kind == "module":
            return f"module {self.name}: {self.said}"
        if self.kind == "input" and self.said:
            return f"input {self.name}: {self.said}"
        return f"{self.kind} {self.name}: {' -> '.join(shortened(self.before, self.now))}"

    def plain(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


def shortened(before: Any, now: Any) -> tuple[str, str]:
    """Both values as texts that fit a line, from a little before their first difference on."""
    old, new = ("nothing" if value is None else str(value) for value in (before, now))
    if max(len(old), len(new)) <= SHOWN:
        return old, new
    pairs = enumerate(zip(old, new, strict=False))
    same = next((n for n, (a, b) in pairs if a != b), min(len(old), len(new)))
    start = max(0, same - LEAD)
    return _part(old, start), _part(new, start)


def _part(text: str, start: int) -> str:
    end = start + SHOWN
    return f"{'...' if start else ''}{text[start:end]}{'...' if end < len(text) else ''}"


def setting_changes(
    before: Mapping[str, Any], now: Mapping[str, Any], kind: str = "setting"
) -> list[Change]:
    """Changes of nested values, by dotted key."""
    old, new = dict(_flat(before)), dict(_flat(now))
    return [
        Change(kind, key, old.get(key), new.get(key))
        for key in sorted({*old, *new})
        if (key in old, old.get(key)) != (key in new, new.get(key))
    ]


def _flat(value: Any, where: str = "") -> Iterable[tuple[str, Any]]:
    children: Iterable[tuple[str, Any]]
    if isinstance(value, Mapping) and value:
        children = ((f"{where}.{key}" if where else str(key), item) for key, item in value.items())
    elif isinstance(value, list | tuple) and value and any(map(_nested, value)):
        children = ((f"{where}[{index}]", item) for index, item in enumerate(value))
    else:
        yield where, list(value) if isinstance(value, tuple) else value
        return
    for key, item in children:
        yield from _flat(item, key)


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple)


def parameter_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Changes of a job's parameters: settings, and pins of packages."""
    packages = setting_changes(before.get("packages") or {}, now.get("packages") or {}, "package")
    left_out = {"code": None, "packages": None}  # said by module and by package instead
    return setting_changes({**before, **left_out}, {**now, **left_out}) + packages


def module_changes(code: Mapping[str, Any], kept: Path, project: Path) -> list[Change]:
    """How the code of a record (its ``code``) differs from that of ``project`` now.

    ``kept`` is the folder of the sources that records name.
    """
    before: dict[str, str] = dict(code.get("modules", {}))
    now = {name: digest_of(name, project) for name in before}
    found = [
        _module_change(name, digest, now[name], kept, path_of(name, project))
        for name, digest in before.items()
        if now[name] != digest
    ]
    reached = _reached(code, [name for name in before if now[name]], project)
    return found + [
        Change("module", name, None, digest, "is reached now")
        for name, digest in reached.items()
        if name not in before
    ]


def _reached(code: Mapping[str, Any], names: list[str], project: Path) -> dict[str, str]:
    modules = [name for name in names if is_inside(name)]
    files = [name for name in names if "/" in name and name != code.get("script")]
    try:
        return modules_of(code["script"], modules, files, project)
    except (ZslError, KeyError):
        return {}


def _module_change(name: str, before: str, now: str | None, kept: Path, path: Path) -> Change:
    if now is None:
        return Change("module", name, before, None, "is not there any more")
    old = kept / f"{before}{path.suffix}"
    return Change("module", name, before, now, said_of(old, path))


def said_of(old: Path, new: Path) -> str:
    """Which definitions of two sources of a module differ, in words."""
    if not old.is_file() or old.suffix != ".py":
        return "changed"
    before, now = (definitions(source_of(path)) for path in (old, new))
    parts = []
    for said, names in (
        ("changed", [key for key in before if key in now and before[key] != now[key]]),
        ("new", [key for key in now if key not in before]),
        ("gone", [key for key in before if key not in now]),
    ):
        if names:
            parts.append(f"{', '.join(names)} {said}")
    return "; ".join(parts) or "changed (order of its definitions)"


def source_of(path: Path) -> str:
    """The text of a kept source; empty where it can be none."""
    try:
        return read_limited(path, LARGEST_SOURCE).decode(errors="replace")
    except (OSError, BrokenFileError):
        return ""


def definitions(text: str) -> dict[str, str]:
    """Source by name of the definitions of a module, without comments and docstrings.

    Functions, methods (``Class.method``), and names that are assigned; ``imports`` and
    ``statements`` hold the rest. Empty where the text is not Python.
    """
    found: dict[str, list[str]] = {}
    try:
        _collect(_WithoutDocstrings().visit(ast.parse(text)), "", found)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    return {name: "\n".join(lines) for name, lines in found.items()}


class _WithoutDocstrings(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        value = node.value
        return None if isinstance(value, ast.Constant) and isinstance(value.value, str) else node


def _collect(node: ast.Module | ast.ClassDef, prefix: str, found: dict[str, list[str]]) -> None:
    for child in node.body:
        if isinstance(child, ast.ClassDef):
            head = [*map(ast.unparse, [*child.decorator_list, *child.bases])]
            found.setdefault(f"{prefix}{child.name}", []).append(f"class {', '.join(head)}")
            _collect(child, f"{prefix}{child.name}.", found)
        else:
            found.setdefault(f"{prefix}{_name_of(child)}", []).append(ast.unparse(child))


def _name_of(node: ast.stmt) -> str:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name
    if isinstance(node, ast.Import | ast.ImportFrom):
        return "imports"
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    return names[0] if names else "statements"
