"""Fits of several curves to the same steps: only those can be compared."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from zsl.errors import FitError
from zsl.fits.bnsl import Bnsl, fit_bnsl


def common_step(curves: Iterable[pd.DataFrame]) -> int:
    """The last step that all ``curves`` (column step) have, or that of the shortest if none."""
    steps = [curve["step"].to_numpy() for curve in curves]
    shared = set(steps[0].tolist()).intersection(*(each.tolist() for each in steps))
    return int(max(shared, default=min(each[-1] for each in steps)))


def fitted_part(curve: pd.DataFrame, *, T: int, cut: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps and smoothed losses (nats) of a curve with cut < step <= T, (n,) each."""
    part = curve[(curve["step"] > cut) & (curve["step"] <= T)]
    return part["step"].to_numpy(), part["smoothed_train_loss"].to_numpy()


def refit(curve: pd.DataFrame, *, T: int, cut: int) -> Bnsl:
    """The fit to cut < step <= T of a run's curve. Raises FitError naming the run."""
    try:
        return fit_bnsl(*fitted_part(curve, T=T, cut=cut))
    except FitError as error:
        raise FitError(f"{curve['run'].iloc[0]}, T = {T}: {error}") from None
