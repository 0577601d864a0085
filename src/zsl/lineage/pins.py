"""Versions of the packages: those asked for in ``requirements.lock`` and those installed.

A rule names the pins that its results depend on, so that another version of one of them
makes its outputs again, and no others::

    params:
        packages=pins("torch", "numpy"),
"""

from __future__ import annotations

import re
from functools import cache
from importlib import metadata
from pathlib import Path

from zsl.lineage.errors import LineageError
from zsl.lineage.fingerprint import ROOT

LOCK = ROOT / "requirements.lock"
"""Lines ``name==version``; comments, options and hashes are passed over."""

_PIN = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*==\s*([^\s;#\\,]+)")


def normalised(name: str) -> str:
    """The name of a package as PEP 503 compares it: ``Ai2_OLMo`` is ``ai2-olmo``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(*names: str, lock: str | Path = LOCK) -> dict[str, str]:
    """Version by normalised name, sorted, as the lock pins them.

    Raises :class:`LineageError` where the lock is missing, or pins a name not at all or to
    two versions.
    """
    locked = locked_versions(lock)
    missing = sorted(name for name in names if normalised(name) not in locked)
    if missing:
        raise LineageError(f"{lock} does not pin {', '.join(missing)}; add name==version lines")
    return {name: locked[name] for name in sorted(map(normalised, names))}


def locked_versions(lock: str | Path = LOCK) -> dict[str, str]:
    """Version by normalised name of every pin of a lock; raises as :func:`pins`."""
    path = Path(lock)
    if not path.is_file():
        raise LineageError(f"no lock {path}; it holds name==version lines")
    return dict(_parse(path.read_text(encoding="utf-8"), str(path)))


@cache
def _parse(text: str, lock: str) -> dict[str, str]:
    versions: dict[str, str] = {}
    for line in text.splitlines():
        if match := _PIN.match(line):
            name, version = normalised(match[1]), match[2]
            if versions.setdefault(name, version) != version:
                raise LineageError(f"{lock} pins {name} to {versions[name]} and to {version}")
    return versions


def installed_versions() -> dict[str, str]:
    """Version by normalised name of every installed package, local builds included.

    Where two copies of a package are on the path, the one that is imported counts.
    """
    versions: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            versions.setdefault(normalised(name), distribution.version)
    return dict(sorted(versions.items()))
