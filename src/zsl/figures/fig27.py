"""Fig. 27: destructive interference in loss changes from t to 2t, by optimizer."""

from __future__ import annotations

from zsl.figures.interference_curves import data, draw

__all__ = ["data", "draw"]
