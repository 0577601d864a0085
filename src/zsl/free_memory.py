"""How much memory is left, as Linux and the control groups of schedulers and containers say."""

from __future__ import annotations

import re
from pathlib import Path

CONTROL = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Limit, use, and what of it can be dropped, of control groups of version 2 and of version 1."""


def free_bytes(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Memory that this process can still take: what the system has, and its control groups allow.

    None where the system does not say.
    """
    try:
        found = re.search(r"^MemAvailable:\s*(\d+) kB$", (proc / "meminfo").read_text(), re.M)
        of_process = (proc / "self/cgroup").read_text()
    except OSError:
        return None
    left = [int(found[1]) * 1024] if found else []
    for line in of_process.splitlines():
        _, controllers, group = line.split(":", 2)
        names = CONTROL.get(controllers)
        if names is not None:
            top = groups / controllers
            folder = top / group.lstrip("/")
            for each in (folder, *folder.parents):
                left += _left_to(each, *names)
                if each == top:
                    break
    return min(left, default=None)


def _left_to(group: Path, limit: str, used: str, cached: str) -> list[int]:
    try:
        of_group, taken = ((group / name).read_text().strip() for name in (limit, used))
        dropped = re.search(rf"^{cached} (\d+)$", (group / "memory.stat").read_text(), re.M)
        return [int(of_group) - int(taken) + (int(dropped[1]) if dropped else 0)]
    except (OSError, ValueError):  # no such group here, or no limit ("max")
        return []
