"""What another user meets: root, too, is refused what the mode of a file refuses its owner."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

VERSION = 0x20080522
"""Of the structures of capget(2)."""
NOBODY = 65534
READS_ALL = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, in the first word."""


class Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class Word(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


@contextmanager
def unprivileged() -> Iterator[None]:
    """In this thread and those that it starts; what it executes is not bound."""
    header, words = Header(VERSION, 0), (Word * 2)()
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() or libc.capget(ctypes.byref(header), words):
        yield
        return
    before = words[0].effective
    words[0].effective = before & ~READS_ALL
    assert libc.capset(ctypes.byref(header), words) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        words[0].effective = before
        libc.capset(ctypes.byref(header), words)


def as_another(command: list[str]) -> list[str]:
    """A command whose programs, too, are refused."""
    if os.geteuid():
        return command
    if not shutil.which("setpriv"):
        pytest.skip("root needs setpriv to be refused anything")
    dropped = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}", *command]


def as_nobody(command: list[str]) -> list[str]:
    """A command of a user without files or a name in the group, who may read everything."""
    if os.geteuid() or not shutil.which("setpriv"):
        pytest.skip("only root can run a program as somebody else, by setpriv")
    reads = "-all,+dac_read_search"
    user = [f"--re{kind}={NOBODY}" for kind in ("uid", "gid")]
    return [
        "setpriv",
        *user,
        "--clear-groups",
        f"--inh-caps={reads}",
        f"--ambient-caps={reads}",
        *command,
    ]
