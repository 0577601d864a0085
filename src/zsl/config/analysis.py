"""Settings of what follows the measurements: curves, fits, tables and figures."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from zsl.config.base import MANY, STEPS, Seed, Settings, Step


class Curves(Settings):
    """How a loss curve is smoothed and subsampled (A.2), and what is said of loss changes."""

    k: float = Field(default=1.2, gt=1)
    """LSMA_k averages over the steps from floor(t/k) to t."""
    first: int = Field(default=10, ge=1, le=STEPS)
    """First step kept. Every step is kept up to 10 times it, then every 10th up to 100 times
    it, every 100th up to 1,000 times it, then every 1,000th; and the last one always."""
    resamples: int = Field(default=1000, ge=100, le=MANY)
    """Draws of the evaluation sequences for the 95 % intervals of D and M of loss changes."""
    resampling_seed: Seed = 0
    """Seed of these draws."""
    groups: int = Field(default=5, ge=2, le=1000)
    """Groups of tokens, by position and by frequency, in which D is measured on its own."""


class Fits(Settings):
    """Which part of a curve is fitted with one-break BNSL (Eq. 1)."""

    cut: int = Field(default=100, ge=0, le=STEPS)
    """Steps <= cut are left out of the fit."""
    bootstrap: int = Field(default=200, ge=40, le=MANY)
    """Refits that the intervals of L_d, t_d and r_d are made from."""
    block: float = Field(default=0.3, gt=0)
    """Length of the bootstrap's blocks in log t. Longer than the smoothing window, log k, since
    residuals of one window are one noise; short enough for a score of blocks. Chosen by the
    coverage of intervals on synthetic curves (``benchmarks/coverage.py``)."""
    seed: Seed = 0
    """Seed of the bootstrap."""


class Tables(Settings):
    """Choices of the tables."""

    table2_steps: list[Step] = Field(default=[32, 4096, 8192], min_length=1)
    """Steps of the columns of Table 2: one early, then the two around deceleration."""


class Figures(Settings):
    """Choices of the figures."""

    fig11_gradient: Literal["eval", "train"] = "eval"
    """Whether the gradient of Fig. 11 is of the evaluation loss or of the step's own batch."""
    fig21_zoom: float = Field(default=2.0, gt=0)
    """Range of alpha in Fig. 21."""
    landscape_tokens: int = Field(default=1000, ge=1, le=MANY)
    """Tokens sampled for Figs 8, 18 and 19, the same for every checkpoint; all if there are
    fewer."""
    landscape_seed: Seed = 0
    """Seed of that sample."""
