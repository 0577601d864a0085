"""Sizes of blocks on which results and costs both depend."""

from __future__ import annotations

KEYS = 64
"""Keys that attention goes back through together: queries before them are skipped, later ones fit
the cache."""
