"""The fit of a run as a JSON-ready dictionary; keys as :mod:`zsl.study` describes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from zsl.errors import FitError
from zsl.fits.bnsl import NAMES, fit_bnsl
from zsl.fits.bootstrap import QUANTITIES, bootstrap
from zsl.fits.verdict import doubts


def fit_curve(
    curve: pd.DataFrame,
    *,
    run: str,
    cut: int,
    k: float,
    imported: bool,
    note: str,
    replicates: int,
    block: float,
    seed: int,
) -> dict[str, Any]:
    """Fit a run's smoothed train loss at the steps after ``cut``, with bootstrap intervals.

    T is the curve's own last step, and L_T its smoothed loss there: fits are comparable only
    at the same T. ``replicates``, ``block`` (log steps) and ``seed`` are those of
    :func:`zsl.fits.bootstrap.bootstrap`. Raises FitError naming the run.
    """
    steps = curve["step"].to_numpy()
    losses = curve["smoothed_train_loss"].to_numpy()
    used = steps > cut
    try:
        fit = fit_bnsl(steps[used], losses[used])
    except FitError as error:
        raise FitError(f"{run}: {error}") from None
    T = int(steps[-1])
    again = bootstrap(
        steps[used], losses[used], fit, T=T, replicates=replicates, block=block, seed=seed
    )
    return {
        "run": run,
        "imported": imported,
        "note": note,
        "T": T,
        "cut": cut,
        "k": k,
        "n_points": fit.n_points,
        "parameters": dict(zip(NAMES, fit.parameters.tolist(), strict=True)),
        "errors": dict(zip(NAMES, fit.errors.tolist(), strict=True)),
        "covariance": np.asarray(fit.covariance).tolist(),
        "RSLE": fit.RSLE,
        "break_inside": fit.break_inside,
        "doubts": doubts(fit, steps[used], losses[used], again),
        "L_d": fit.L_d,
        "t_d": fit.t_d,
        "r_d": fit.r_d,
        "L_hat_T": fit.L_hat(T),
        "L_T": float(losses[-1]),
        "intervals": {name: list(again.interval(name)) for name in (*QUANTITIES, *NAMES)},
        "bootstrap": {
            "replicates": replicates,
            "block": block,
            "seed": seed,
            "failed": again.failed,
        },
    }
