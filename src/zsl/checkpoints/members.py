"""The checkpoints of a suite, what is wrong with them, and both as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from zsl.checkpoints.formats import Format


@dataclass(frozen=True)
class File:
    """A file of a checkpoint."""

    size: int
    """Bytes."""
    digest: str
    """SHA-256; of a small file on the Hub, Git's."""


@dataclass(frozen=True)
class Member:
    """A checkpoint of a suite."""

    run: str
    step: int
    name: str
    """Its revision or folder."""
    commit: str | None
    """None of a folder here."""
    form: Format
    files: dict[str, File]

    @property
    def weights(self) -> tuple[str, ...]:
        """Digests of its files of weights."""
        return tuple(self.files[name].digest for name in self.form.weights)


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with a suite."""

    kind: str
    run: str
    steps: tuple[int, ...]
    text: str


@dataclass
class Suite:
    """Checkpoints, by run and step, and what is wrong with them."""

    where: str
    members: list[Member] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    looked_at: int = 0
    """Checkpoints whose weights were read."""

    def runs(self) -> dict[str, list[Member]]:
        """Members by run, in the order of their steps."""
        found: dict[str, list[Member]] = {}
        for member in sorted(self.members, key=lambda m: (m.run, m.step)):
            found.setdefault(member.run, []).append(member)
        return found

    def as_json(self) -> dict[str, Any]:
        """Plain values of all of it."""
        return asdict(self)


Bring = Callable[[Member, tuple[str, ...], Path], Path]
"""From a member and names of its files to a folder that has them, which may be made in the last."""


def as_text(suite: Suite) -> str:
    """A table of each run, then what is wrong."""
    size = sum(file.size for member in suite.members for file in member.files.values())
    runs = suite.runs()
    lines = [
        f"{suite.where}: runs: {len(runs)}, checkpoints: {len(suite.members)}, bytes: {size:,}"
    ]
    for run, members in runs.items():
        lines += ["", f"{run} ({len(members)} checkpoints)"]
        width = max(len("revision"), *(len(member.name) for member in members))
        head = ("step", "revision", "commit", "format", "weights", "bytes", "optimizer")
        row = f"{{:>10}}  {{:{width}}}  {{:8}}  {{:16}}  {{:12}}  {{:>15}}  {{:>15}}"
        lines.append(row.format(*head).rstrip())
        lines += [row.format(*_cells(member)).rstrip() for member in members]
    lines.append("")
    if suite.faults:
        lines.append(f"Wrong ({len(suite.faults)}):")
        lines += [f"  {_place(fault)}: {fault.kind}: {fault.text}" for fault in suite.faults]
    else:
        lines.append("Nothing wrong was found.")
    if not suite.looked_at:
        lines.append("Weights were not looked at: --weights does.")
    return "\n".join(lines)


def _cells(member: Member) -> tuple[str, ...]:
    form, files = member.form, member.files
    return (
        f"{member.step:,}",
        member.name,
        (member.commit or "")[:8],
        form.kind,
        member.weights[0][:12],
        f"{sum(files[name].size for name in form.weights):,}",
        f"{files[form.optimizer].size:,}" if form.optimizer else "none",
    )


def _place(fault: Fault) -> str:
    steps = ", ".join(f"{step:,}" for step in fault.steps)
    return f"{fault.run}, step {steps}" if len(fault.steps) == 1 else f"{fault.run}, steps {steps}"
