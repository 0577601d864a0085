"""What the source of a module means: a digest of its syntax tree, and what it imports.

Nothing is imported or run. Formatting, comments, docstrings (also those of fields) and type
checking blocks do not count. The digest does not use ``ast.dump``, whose text differs between
versions of Python.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

VALIDATORS = {"model_validator", "field_validator"}
"""Decorators of methods that only accept or refuse a value."""
IMPORTERS = ("import_module", "__import__")
"""Functions that import a module by its name."""
STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)
"""Nodes in which a statement may stand."""


@dataclass(frozen=True)
class Import:
    """One imported name as written."""

    module: str
    """Dotted name after ``from`` or ``import``; may be empty in ``from . import name``."""
    name: str | None
    """The name after ``from module import``; None for ``import module``."""
    level: int
    """Number of leading dots."""


@dataclass(frozen=True)
class Source:
    """A parsed module."""

    digest: str
    """SHA-256 of its syntax tree."""
    imports: tuple[Import, ...]
    """Everything it imports anywhere, functions included, in the order of the text."""


@cache
def parse(text: str, declarations: bool = False) -> Source:
    """Digest and imports of a module's text, parsed once a process for equal text.

    ``declarations``: the module declares settings, whose values are tracked as parameters, so
    that only its methods and functions count, validators left out.

    Raises ``SyntaxError`` where the text is not Python.
    """
    tree = ast.parse(text)
    counted = list(_methods(tree)) if declarations else tree
    digest = hashlib.sha256(repr(_plain(counted)).encode()).hexdigest()
    by_name = any(name in text for name in IMPORTERS)
    return Source(digest, tuple(_imports(tree, by_name)))


def _plain(value: object) -> object:
    """A syntax tree as nested tuples of names and literals, without empty fields."""
    if isinstance(value, list):
        return [_plain(item) for item in value if not _means_nothing(item)]
    if isinstance(value, ast.Constant):
        return ("Constant", ("value", repr(value.value)))
    if isinstance(value, ast.AST):
        fields = [(field, getattr(value, field, None)) for field in value._fields]
        kept = [(field, _plain(v)) for field, v in fields if v is not None and v != []]
        return (type(value).__name__, *kept)
    return repr(value)


def _means_nothing(node: object) -> bool:
    """Whether a statement changes no result: a docstring, ``pass`` or ``__version__``."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    if isinstance(node, ast.Assign):
        return [getattr(target, "id", None) for target in node.targets] == ["__version__"]
    return isinstance(node, ast.Pass)


def _methods(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = {part for decorator in node.decorator_list for part in _names(decorator)}
            if not names & VALIDATORS:
                yield node


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} | {
        part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)
    }


def _imports(node: ast.AST, by_name: bool) -> Iterator[Import]:
    """Imports in a node; ``by_name``: also calls, for which expressions are looked into."""
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, None, 0) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (Import(node.module or "", alias.name, node.level) for alias in node.names)
    elif isinstance(node, ast.Call):
        yield from _import_by_name(node)
    children: Iterator[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and _is_type_checking(node.test):
        children = iter(node.orelse)
    for child in children:
        if by_name or isinstance(child, STATEMENTS):
            yield from _imports(child, by_name)


def _is_type_checking(test: ast.expr) -> bool:
    """Whether it is ``TYPE_CHECKING`` or ``typing.TYPE_CHECKING``, false when a program runs."""
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _import_by_name(call: ast.Call) -> Iterator[Import]:
    """``import_module("zsl.a")``, where the name is written out."""
    called = call.func.attr if isinstance(call.func, ast.Attribute) else None
    called = call.func.id if isinstance(call.func, ast.Name) else called
    if called in IMPORTERS and call.args:
        name = call.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield Import(name.value, None, 0)
