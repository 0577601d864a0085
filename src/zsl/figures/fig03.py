"""Fig. 3: destructive interference in the changes of per-token losses from t to 2t."""

from __future__ import annotations

import numpy as np

from zsl.claims import Claim
from zsl.figures.doublings import one_run
from zsl.figures.interference_curves import data, draw
from zsl.study import Study

__all__ = ["CLAIMS", "data", "draw"]

SPREAD = 4
"""A rise within this factor of t_d co-occurs with deceleration."""


def _rise(study: Study, run: str, t_d: float) -> float:
    rows = one_run(study, run)
    after = rows.loc[rows["step"] >= t_d, "D"]
    before = rows.loc[rows["step_next"] <= t_d, "D"]
    return float(after.mean() - before.min())


def _share_of_rise(study: Study, run: str, t_d: float) -> float:
    rows = one_run(study, run)
    rows = rows.iloc[int(rows["D"].to_numpy().argmin()) :]
    at = np.log([max(t_d / SPREAD, rows["step"].min()), t_d * SPREAD])
    low, high = np.interp(at, np.log(rows["step"]), rows["D"])
    return float((high - low) / (rows["D"].max() - rows["D"].min()))


CLAIMS = (
    Claim(
        statement="destructive interference in loss changes is higher after deceleration",
        measure="mean D over the doublings from t >= t_d less its minimum over those before",
        bound=0.0,
        value=_rise,
    ),
    Claim(
        statement="most of its rise co-occurs with deceleration",
        measure=f"the share of the rise of D that lies within a factor of {SPREAD} of t_d",
        bound=0.5,
        value=_share_of_rise,
    ),
)
