"""A root digest that is held elsewhere: printed, sent, or signed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zsl.audit.errors import AuditError
from zsl.files import LARGEST_JSON, read_limited
from zsl.lineage.root import listing, read_listing, root_of

_HEX = re.compile(r"[0-9a-fA-F]{64}")
_PRINTED = re.compile(r"([0-9a-fA-F]{64})(?:  -)?\s*")
"""A root as `zsl root` or `sha256sum` prints it."""


@dataclass(frozen=True)
class Held:
    """A root held elsewhere, with the digests it is made of where they were kept, too."""

    root: str
    name: str
    """How it was given, for people."""
    digests: Mapping[str, str] | None = None


def read_held(given: str) -> Held:
    """A root from 64 hexadecimal digits, or from a file: that of `zsl root --out`, or one with
    the digits alone, as `zsl root` or `sha256sum` prints them.

    Raises AuditError where it is neither.
    """
    if _HEX.fullmatch(given):
        return Held(given.lower(), f"root {given[:12].lower()}...")
    path = Path(given)
    if not path.is_file():
        raise AuditError(
            f"--root {given!r}: neither 64 hexadecimal digits nor a file; give the root digest "
            "that the report shows, or a file that `zsl root --out FILE` wrote"
        )
    try:
        text = read_limited(path, LARGEST_JSON).decode()
        if printed := _PRINTED.fullmatch(text):
            return Held(printed[1].lower(), f"the root in {path.name}")
        digests = _digests(text, given)
    except ValueError as error:
        raise AuditError(f"--root {given}: no file of `zsl root --out FILE` ({error})") from None
    return Held(root_of(digests), f"the digests in {path.name}", digests)


def _digests(text: str, where: str) -> dict[str, str]:
    """The digests of a list, of which the root is that of its bytes.

    Raises ValueError or ZslError where it is not as it was written.
    """
    digests = read_listing(text, where)
    if not digests or listing(digests) != text:
        raise ValueError("its lines are not those that were written, in their order")
    return digests


def differences(held: Held, digests: Mapping[str, str]) -> list[str]:
    """How the records of now differ from those of a held root; empty where they do not."""
    if held.root == root_of(digests):
        return []
    said = [f"the root is {root_of(digests)}, held is {held.root}"]
    if held.digests is None:
        said.append("a root alone does not tell which: hold the file of `zsl root --out FILE`")
        return said
    for path, digest in held.digests.items():
        if path not in digests:
            said.append(f"lineage/{path} is gone")
        elif digests[path] != digest:
            said.append(f"lineage/{path} is another")
    said += [f"lineage/{path} is new" for path in digests if path not in held.digests]
    return said


def text_of(digests: Mapping[str, str]) -> str:
    """What ``zsl root --out`` writes."""
    return listing(digests)
