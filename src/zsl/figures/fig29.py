"""Fig. 29: loss curves with a cosine schedule, and their one-break BNSL fits."""

from __future__ import annotations

from zsl.figures.loss_curves import data, draw

__all__ = ["data", "draw"]
