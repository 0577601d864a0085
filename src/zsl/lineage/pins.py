"""Versions of the packages: those asked for in ``requirements.lock`` and those installed.

A rule names the pins that its results depend on, so that another version of one of them
makes its outputs again, and no others::

    params:
        packages=pins("torch", "numpy"),
"""

from __future__ import annotations

from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from zsl.lineage.errors import LineageError
from zsl.lineage.fingerprint import ROOT

LOCK = ROOT / "requirements.lock"
"""Lines ``name==version``; comments, options and hashes are passed over."""


def pins(*names: str, lock: str | Path = LOCK) -> dict[str, str]:
    """Version by normalised name, sorted, as the lock pins them.

    Raises :class:`LineageError` where the lock is missing, or pins a name not at all or to
    two versions.
    """
    path = Path(lock)
    if not path.is_file():
        raise LineageError(f"no lock {path}; it holds name==version lines")
    locked = _parse(path.read_text(encoding="utf-8"), str(path))
    missing = sorted(name for name in names if canonicalize_name(name) not in locked)
    if missing:
        raise LineageError(f"{lock} does not pin {', '.join(missing)}; add name==version lines")
    return {name: locked[name] for name in sorted(map(canonicalize_name, names))}


@cache
def _parse(text: str, lock: str) -> dict[str, str]:
    """Version by normalised name of every pin of a lock."""
    versions: dict[str, str] = {}
    for line in text.splitlines():
        try:
            pinned = Requirement(line.partition("#")[0].rstrip(" \\"))
        except InvalidRequirement:  # a comment, an option or a hash
            continue
        name, exact = canonicalize_name(pinned.name), str(pinned.specifier).partition("==")[2]
        if exact and versions.setdefault(name, exact) != exact:
            raise LineageError(f"{lock} pins {name} to {versions[name]} and to {exact}")
    return versions


def installed_versions() -> dict[str, str]:
    """Version by normalised name of every installed package, local builds included.

    Where two copies of a package are on the path, the one that is imported counts.
    """
    versions: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            versions.setdefault(canonicalize_name(name), distribution.version)
    return dict(sorted(versions.items()))
