"""The digests of an audit, against ``sha256sum`` run in parallel on the same files.

A made-up folder like that of an experiment: a few large files and many small ones, which are in
the file cache of the system after the first round, so that the disk does not decide.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import torch
from harness import ROUNDS, Disagreement, Result, alternate, describe, main, spread

from zsl.audit.disk import WORKERS, hash_files

SIZES = {16: 64 << 20, 1000: 200 << 10, 2000: 20 << 10}
"""Bytes of the files by how many there are."""
AT_ONCE = 16
"""Files that one call of sha256sum is given."""


def fill(folder: Path, sizes: dict[int, int]) -> list[Path]:
    paths = []
    for count, size in sizes.items():
        for number in range(count):
            paths.append(folder / f"{size}-{number}")
            paths[-1].write_bytes(os.urandom(min(size, 1 << 16)) * max(1, size >> 16))
    return paths


def peer(folder: Path) -> dict[Path, str]:
    """``find`` and ``sha256sum``, a process a core."""
    find = subprocess.Popen(["find", folder, "-type", "f", "-print0"], stdout=subprocess.PIPE)
    command = ["xargs", "-0", "-P", str(WORKERS), "-n", str(AT_ONCE), "sha256sum"]
    done = subprocess.run(command, stdin=find.stdout, capture_output=True, text=True, check=True)
    find.wait()
    return {Path(line[66:]): line[:64] for line in done.stdout.splitlines()}


def measure(sizes: dict[int, int], rounds: int = ROUNDS) -> Result:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = fill(folder, sizes)
        if peer(folder) != hash_files(paths).digests:
            raise Disagreement("the digests are not those of sha256sum")
        seconds = alternate([lambda: peer(folder), lambda: hash_files(paths)], rounds)
    total = sum(count * size for count, size in sizes.items())
    return Result(
        name="hashing",
        peer=f"find and sha256sum, {WORKERS} processes",
        ours="zsl.audit.disk.hash_files",
        unit="x the peer's rate",
        **spread(seconds[:, 0] / seconds[:, 1]),
        target=">= 0.7",
        agreement=f"equal digests of {len(paths)} files",
        note=f"{total / 1e9:.1f} GB",
        device=describe(torch.device("cpu")),
    )


if __name__ == "__main__":
    main(lambda _: [measure(SIZES)])
