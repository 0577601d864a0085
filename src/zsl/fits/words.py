"""What figures, tables and the report say of the doubts of :mod:`zsl.fits.verdict`.

Apart from it, so that a change of the fits makes nothing again that only repeats these words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

ORDER = (
    "one_power_law",
    "acceleration",
    "plateau",
    "rise",
    "no_break",
    "L_hat_T",
    "replicates",
)
"""Reasons, the more telling first."""


def in_words(doubts: Mapping[str, str]) -> str:
    """The first reason in the order of ``ORDER``, and the names of the others; empty if none."""
    first, *others = [name for name in ORDER if name in doubts] or [""]
    also = f" (also: {', '.join(others)})" if others else ""
    return f"{doubts[first]}{also}" if first else ""


def sentences(fits: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence on those of ``fits`` (as in ``fits/<run>.json``) that are doubtful, if any."""
    said = [
        f"{fit['run'].split('-', 1)[1]}, {in_words(fit['doubts'])}" for fit in fits if fit["doubts"]
    ]
    if not said:
        return []
    return [f"Doubtful fits, whose deceleration is neither drawn nor judged: {'. '.join(said)}."]
