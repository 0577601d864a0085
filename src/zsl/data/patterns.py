"""Files that patterns of a configuration name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from zsl.data.records import format_of
from zsl.errors import DataError


@dataclass(frozen=True)
class Named:
    """Files of text that patterns name."""

    files: dict[str, Path] = field(default_factory=dict)
    """By their origins: relative to the base, or absolute where the pattern is."""
    left_out: list[str] = field(default_factory=list)
    """Origins of what lies in a folder that is named and is not read."""


def matching(base: Path, pattern: str) -> list[Path]:
    """Plain files below ``base`` that match a glob pattern, sorted; hidden ones only where the
    pattern has their dot.

    Raises DataError for a pattern that no file system can be searched for.
    """
    dotted = any(part.startswith(".") and part.strip(".") for part in Path(pattern).parts)
    try:
        found = sorted(path for path in base.glob(pattern) if path.is_file())
    except (ValueError, OSError, NotImplementedError) as error:
        raise DataError(f"pattern {pattern!r}: {error}; correct it") from None
    return [path for path in found if dotted or not _hidden(path.relative_to(base))]


def text_files(base: Path, patterns: Iterable[str], where: str) -> Named:
    """Files of text that patterns name: each pattern's sorted, each file once.

    A pattern that is a folder stands for all files below it of the formats that are read, without
    hidden ones; links to folders in it are not followed. ``where`` says what ``base`` is. Raises
    DataError for a pattern that names no such file.
    """
    named = Named()
    for pattern in patterns:
        anchor = Path(pattern).anchor
        top = Path(anchor) if anchor else base
        relative = pattern[len(anchor) :] or "."
        folder = _is_folder(top / relative)
        found = sorted(_below(top / relative)) if folder else matching(top, relative)
        read = {path for path in found if not folder or _is_read(path)}
        if not read:
            place = "" if anchor else f" in {where}"
            what = "is a folder without a file of text" if folder else "matches no file"
            raise DataError(
                f"pattern {pattern!r} {what}{place}; correct the pattern or put the files there"
            )
        for path in found:
            origin = path.as_posix() if anchor else path.relative_to(base).as_posix()
            if path in read:
                named.files[origin] = path
            else:
                named.left_out.append(origin)
    return named


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _below(folder: Path) -> Iterator[Path]:
    """Plain files in a folder, and links to folders."""
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _hidden(Path(name))]
        yield from (path for name in folders if (path := Path(here, name)).is_symlink())
        paths = (Path(here, name) for name in names if not _hidden(Path(name)))
        yield from (path for path in paths if path.is_file())


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") and part != ".." for part in path.parts)


def _is_read(path: Path) -> bool:
    if path.is_dir():
        return False
    try:
        format_of(path.name)
    except DataError:
        return False
    return True
