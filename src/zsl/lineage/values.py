"""Values and paths as a record may hold them: plain, and the same on every machine."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from zsl.lineage.errors import LineageError
from zsl.lineage.fingerprint import ROOT

LONGEST = 4096
"""Characters of a path."""


def stays_inside(path: object) -> bool:
    """Whether a value is a relative path that leads nowhere but down."""
    if not isinstance(path, str) or not 0 < len(path) <= LONGEST:
        return False
    plain = path.isprintable() and "\\" not in path
    return plain and not path.startswith("/") and ".." not in PurePosixPath(path).parts


def portable(path: str | Path, root: Path = ROOT) -> tuple[str, bool]:
    """A path as recorded, and whether it is external.

    A path below the working directory or the project's root is relative to it. Of another
    one only the name is kept: where a file lay outside of the project is a fact of one
    machine, its digest says what it was.
    """
    whole = Path(os.path.abspath(path))  # noqa: PTH100 (links are kept as they are)
    for base in (Path.cwd(), root):
        if whole.is_relative_to(base):
            return whole.relative_to(base).as_posix(), False
    return whole.name, True


def plain(value: Any, where: str, root: Path = ROOT) -> Any:
    """A value as JSON holds it; paths in it as :func:`portable`, external ones marked.

    Infinite numbers and NaN become their names, since JSON has none.

    Raises :class:`LineageError` naming ``where`` for anything that is not a plain value.
    """
    if isinstance(value, Mapping):
        return {
            plain(str(key), where, root): plain(item, f"{where}.{key}", root)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{index}]", root) for index, item in enumerate(value)]
    if isinstance(value, set | frozenset):
        return plain(sorted(value), where, root)
    if isinstance(value, str) and value.startswith("file://"):
        value = value.removeprefix("file://")
    if isinstance(value, Path) or (isinstance(value, str) and _is_path_here(value)):
        recorded, external = portable(value, root)
        return f"external:{recorded}" if external else recorded
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return plain(value.item(), where, root)
    raise LineageError(
        f"{where} is of type {type(value).__name__}, which Snakemake does not track; "
        "pass a plain value, such as model.model_dump(mode='json')"
    )


def _is_path_here(text: str) -> bool:
    """Whether a text is a path or pattern of this machine: it starts at a folder of its root.

    ``/step00004096`` of HDF5 is not, ``/home/me/*.txt`` is.
    """
    return text.startswith("/") and "\0" not in text and Path(*Path(text).parts[:2]).exists()


def seeds(value: Any, where: str = "") -> dict[str, Any]:
    """Values of all keys ``seed`` and ``*_seed`` in nested values, by dotted key."""
    found: dict[str, Any] = {}
    if isinstance(value, Mapping):
        for key, item in value.items():
            name = f"{where}.{key}" if where else str(key)
            if str(key) == "seed" or str(key).endswith("_seed"):
                found[name] = item
            else:
                found |= seeds(item, name)
    return found
