"""Signatures of the digests of all records, by the standard tools: ssh-keygen or minisign."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from zsl.audit.errors import AuditError
from zsl.audit.held import Held

NAMESPACE = "zsl-root"
"""What SSH signatures are for, lest one made for something else be taken for one."""


def sign(path: Path, key: Path) -> Path:
    """Sign a file; the signature is written beside it. The tool may ask for a passphrase.

    Raises AuditError where the key or the tool is missing, or the tool fails.
    """
    require_key(key)
    suffix, command = (
        (".minisig", ["minisign", "-S", "-s", str(key), "-m", str(path)])
        if _is_minisign(key)
        else (".sig", ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(path)])
    )
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
    if options.signature is None and (options.signers or options.public_key):
        raise AuditError("--signers and --public-key need --signature FILE, which they are of")
    if options.signature is None:
        return held
    if held is None or held.digests is None:
        raise AuditError("--signature needs --root FILE: the file that was signed")
    path, signature = Path(options.root), options.signature
    if options.public_key:
        command = ["minisign", "-V", "-p", str(options.public_key), "-x", str(signature)]
        _run([*command, "-m", str(path)])
        return Held(held.root, f"{held.name}, signed by {options.public_key.name}", held.digests)
    if not options.signers:
        raise AuditError("--signature: name the key with --signers FILE or --public-key FILE")
    signer = _signer(options.signers, signature)
    command = ["ssh-keygen", "-Y", "verify", "-f", str(options.signers), "-I", signer]
    _run([*command, "-n", NAMESPACE, "-s", str(signature)], path.read_bytes())
    return Held(held.root, f"{held.name}, signed by {signer}", held.digests)


def _signer(signers: Path, signature: Path) -> str:
    command = ["ssh-keygen", "-Y", "find-principals", "-f", str(signers), "-s", str(signature)]
    return _run(command).splitlines()[0]


def _is_minisign(key: Path) -> bool:
    return key.read_bytes().startswith(b"untrusted comment:")


def _run(command: list[str], given: bytes | None = None) -> str:
    try:
        done = subprocess.run(command, input=given, capture_output=True)
    except FileNotFoundError as error:
        raise AuditError(f"{command[0]} is not installed, which signs and verifies") from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise AuditError(f"{command[0]} refused: {said}")
    return done.stdout.decode()
