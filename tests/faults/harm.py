"""What a disk or a copy that was cut short does to a file."""

from __future__ import annotations

from pathlib import Path


def flip(path: Path) -> None:
    """Change one bit in the middle of a file, and nothing else."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    """Take the second half of a file away."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
