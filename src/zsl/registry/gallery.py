"""The list of all figures and tables as Markdown: ``docs/gallery.md`` and a part of README.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zsl.registry import TARGETS, available
from zsl.registry.target import BEYOND, CHAPTERS, Target

if TYPE_CHECKING:
    from zsl.config.load import Plan

MARKS = "<!-- zsl targets -->", "<!-- end -->"
"""What README.md has before and after its list."""
PICTURES = "gallery"
"""Folder of thumbnails beside the page."""
DEFAULT = "mini"
"""The experiment that the pictures are of."""
LARGER = "desk"
"""The experiment of which there are pictures, too, in a folder of its name."""
INTRODUCTION = """\
# Every figure and table

Made from `src/zsl/registry` by `zsl targets --gallery`; the pictures are those of `mini`, the
default experiment, and on their right those of `desk`, where it makes the figure. `snakemake
--cores all fig05` makes one of them with all that it needs.
"""


def gallery(plans: Sequence[Plan]) -> str:
    """The page: chapter by chapter, what each target shows, a picture, and which of the
    experiments ``plans`` can make it.
    """
    makers = {
        target.id: [plan.experiment.experiment for plan in plans if target in available(plan)]
        for target in TARGETS
    }
    parts = [INTRODUCTION]
    for chapter, targets in _chapters():
        parts.append(f"## {chapter}\n")
        parts += [_entry(target, makers[target.id]) for target in targets]
    return "\n".join(parts)


def _entry(target: Target, makers: Sequence[str]) -> str:
    section = f"Section {target.section}; " if target.number is not None else ""
    lines = [
        f"### {_name(target)}: {target.title}\n",
        f"`{target.id}`; {section}suites: {', '.join(target.suites)}; reads: "
        f"{', '.join(target.inputs) or 'the configuration'}; experiments: {', '.join(makers)}.",
    ]
    if target.mini:
        lines.append(f"In `mini`: {target.mini}")
    if target.kind == "figure" and DEFAULT in makers:
        lines.append(f"\n![{target.title}]({PICTURES}/{target.id}.png)")
        if LARGER in makers:
            lines.append(f"![{target.title}, {LARGER}]({PICTURES}/{LARGER}/{target.id}.png)")
    return "\n".join(lines) + "\n"


def listing() -> str:
    """The part of README.md between ``MARKS``: a line for each chapter."""
    lines = []
    for chapter, targets in _chapters():
        named = ", ".join(f"`{target.id}` {target.title}" for target in targets)
        lines.append(f"- **{chapter}:** {named}")
    return "\n".join(lines)


def _chapters() -> list[tuple[str, list[Target]]]:
    chapters = [*CHAPTERS.values(), BEYOND]
    return [(name, [target for target in TARGETS if target.chapter == name]) for name in chapters]


def _name(target: Target) -> str:
    return "Beyond the paper" if target.number is None else target.heading


def filled(readme: str) -> str:
    """The text of README.md with the list between ``MARKS`` as it should be."""
    first, last = MARKS
    before, rest = readme.split(f"{first}\n")
    _, after = rest.split(last)
    return f"{before}{first}\n{listing()}\n{last}{after}"
