"""Fig. 2: loss curves of the model sizes, and their one-break BNSL fits."""

from __future__ import annotations

from zsl.figures.loss_curves import data, draw

__all__ = ["data", "draw"]
