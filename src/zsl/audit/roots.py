"""Roots that are held elsewhere: printed, sent, or signed by ssh-keygen or minisign."""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from zsl.audit.errors import AuditError
from zsl.files import LARGEST_JSON, read_limited
from zsl.lineage.root import listing, read_listing, root_of

_PRINTED = re.compile(r"([0-9a-fA-F]{64})(?:  -)?\s*")
"""A root as `zsl root` or `sha256sum` prints it."""
NAMESPACE = "zsl-root"
"""What SSH signatures are for, so that one made for something else is not taken for one."""


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

    Raises AuditError where it is neither, or where a list is not as it was written.
    """
    if re.fullmatch("[0-9a-fA-F]{64}", given):
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
        digests = read_listing(text, given)
        if not digests or listing(digests) != text:
            raise ValueError("its lines are not those that were written, in their order")
    except ValueError as error:
        raise AuditError(f"--root {given}: no file of `zsl root --out FILE` ({error})") from None
    return Held(root_of(digests), f"the digests in {path.name}", digests)


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
    return said + [f"lineage/{path} is new" for path in digests if path not in held.digests]


def sign(path: Path, key: Path) -> Path:
    """Sign a file; the signature is written beside it. The tool may ask for a passphrase.

    Raises AuditError where the key or the tool is missing, or the tool fails.
    """
    require_key(key)
    if key.read_bytes().startswith(b"untrusted comment:"):
        suffix, command = ".minisig", ["minisign", "-S", "-s", str(key), "-m", str(path)]
    else:
        suffix, command = ".sig", ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", NAMESPACE]
        command.append(str(path))
    signature = path.with_name(path.name + suffix)
    signature.unlink(missing_ok=True)
    _run(command)
    return signature


def require_key(key: Path) -> None:
    """Raise AuditError where there is no such key."""
    if not key.is_file():
        raise AuditError(f"--sign {key}: no such key")


def verified(held: Held | None, options: argparse.Namespace) -> Held | None:
    """The held root, if the signature of its file, where one is named, is that of the named key.

    Raises AuditError where there is no file, no key, no signature for a key, or where the
    signature is not the key's.
    """
    signature, signers, key = options.signature, options.signers, options.public_key
    if signature is None:
        if signers or key:
            raise AuditError("--signers and --public-key need --signature FILE, which they are of")
        return held
    if held is None or held.digests is None:
        raise AuditError("--signature needs --root FILE: the file that was signed")
    if key:
        _run(["minisign", "-V", "-p", str(key), "-x", str(signature), "-m", options.root])
        return replace(held, name=f"{held.name}, signed by {key.name}")
    if not signers:
        raise AuditError("--signature: name the key with --signers FILE or --public-key FILE")
    command, given = ["ssh-keygen", "-Y"], ["-f", str(signers), "-s", str(signature)]
    signer = _run([*command, "find-principals", *given]).splitlines()[0]
    signed = Path(options.root).read_bytes()
    _run([*command, "verify", "-I", signer, "-n", NAMESPACE, *given], signed)
    return replace(held, name=f"{held.name}, signed by {signer}")


def _run(command: list[str], given: bytes | None = None) -> str:
    try:
        done = subprocess.run(command, input=given, capture_output=True)
    except FileNotFoundError as error:
        raise AuditError(f"{command[0]} is not installed, which signs and verifies") from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise AuditError(f"{command[0]} refused: {said}")
    return done.stdout.decode()
