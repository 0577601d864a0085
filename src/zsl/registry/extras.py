"""Figures and tables that go beyond the paper."""

from __future__ import annotations

from zsl.registry.target import Target

EXTRAS: tuple[Target, ...] = ()
